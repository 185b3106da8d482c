// The edges of HTTP: bodies, types, methods and routes.

import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { serve } from './harness.mjs'
import { SERVICE_KEY, answered, header, refused, send } from './support.mjs'

let server
before(async () => {
  server = await serve({})
})
after(() => server?.stop())

const kimi = (usage) => ({ model: 'kimi-k2', usage })
const ask = (body) => send(server, 'POST', '/v1/estimate', { body })

describe('a body that cannot be read', () => {
  const raw = [
    ['no JSON', '{"model":', 'invalid_json'],
    ['an empty body', '', 'invalid_json'],
    ['a second value after the first', '{"model":"kimi-k2","usage":{}} {}', 'invalid_json'],
    ['a comment', '{"model":"kimi-k2",/* */"usage":{}}', 'invalid_json'],
    ['NaN', '{"model":"kimi-k2","usage":{"input_tokens":NaN}}', 'invalid_json'],
    ['a leading zero', '{"model":"kimi-k2","usage":{"input_tokens":01}}', 'invalid_json'],
    ['broken UTF-8', Buffer.from([...Buffer.from('{"model":"kimi-k2'), 0xff, 0xc0, ...Buffer.from('","usage":{}}')]), ['invalid_json', 'invalid_request']],
    ['half a surrogate pair', '{"model":"\\ud800","usage":{}}', ['invalid_json', 'invalid_request', 'unknown_model']],
    ['a list', '[]', ['invalid_request', 'invalid_json']],
    ['a bare null', 'null', ['invalid_request', 'invalid_json']],
    ['the same key twice', '{"model":"kimi-k2","model":"kimi-k2","usage":{}}', ['invalid_json', 'invalid_request']],
    ['the same meter twice', '{"model":"kimi-k2","usage":{"input_tokens":1,"input_tokens":2}}', ['invalid_json', 'invalid_request']],
    ['nesting without end', `{"model":"kimi-k2","usage":${'['.repeat(20_000)}${']'.repeat(20_000)}}`, null],
    ['a number without end', `{"model":"kimi-k2","usage":{"input_tokens":${'9'.repeat(5000)}}}`, null],
    ['an exponent without end', '{"model":"kimi-k2","usage":{"input_tokens":1e400}}', null],
  ]
  for (const [title, body, codes] of raw) {
    test(`${title} is refused, and is no fault`, async () =>
      refused(await send(server, 'POST', '/v1/estimate', { body }), 400, codes))
  }
})

describe('the edges of HTTP', () => {
  const padded = (bytes) => JSON.stringify(kimi({})).padEnd(bytes, ' ')

  test('a body of 64 KiB is read, and a byte more is not', async () => {
    assert.equal(answered(await ask(padded(65_536))).credits, 0)
    refused(await ask(padded(65_537)), 413)
    refused(await ask(padded(1_000_000)), 413)
  })

  test('a body that does not say its length is measured all the same', async () => {
    for (const [method, path] of [['POST', '/v1/estimate'], ['PATCH', '/v1/accounts/too-long'], ['POST', '/v1/accounts/too-long/charges']]) {
      const headers = { 'Idempotency-Key': 'too-long' }
      refused(await send(server, method, path, { key: SERVICE_KEY, headers, body: new Blob([padded(100_000)]).stream() }), 413)
    }
  })

  test('a body of another type is refused', async () => {
    for (const type of ['text/plain', 'application/x-www-form-urlencoded', 'application/xml']) {
      refused(await send(server, 'POST', '/v1/estimate', { body: JSON.stringify(kimi({})), type }), 415)
    }
    answered(await send(server, 'POST', '/v1/estimate', { body: JSON.stringify(kimi({})), type: 'application/json; charset=utf-8' }))
  })

  test('a method that a route does not have is refused, with those it has', async () => {
    const wrong = [['DELETE', '/v1/estimate', 'POST'], ['GET', '/v1/estimate', 'POST'], ['POST', '/v1/catalog', 'GET'], ['DELETE', '/health', 'GET']]
    for (const [method, path, allowed] of wrong) {
      const response = await send(server, method, path, method === 'POST' ? { body: '{}' } : {})
      refused(response, 405)
      assert.ok((header(response, 'allow') ?? '').split(/\s*,\s*/).includes(allowed), `${method} ${path}: Allow is ${header(response, 'allow')}`)
    }
  })

  test('a route that is none is not found', async () => {
    for (const path of ['/', '/v1', '/v1/nothing', '/v2/catalog', '/v1/estimate/more', '/HEALTH']) {
      refused(await send(server, 'GET', path, { key: SERVICE_KEY }), 404, 'not_found')
    }
  })

  test('unknown query parameters are refused', async () => {
    refused(await send(server, 'POST', '/v1/estimate?currency=eur', { body: JSON.stringify(kimi({})) }), 400, 'invalid_request')
    refused(await send(server, 'GET', '/v1/catalog?page=2'), 400, 'invalid_request')
  })
})
