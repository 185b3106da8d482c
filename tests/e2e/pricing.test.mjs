// What a call will cost: the catalog and the public estimate.

import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { client, serve } from './harness.mjs'
import { SERVICE_KEY, answered, header, matches, refused, send, sum } from './support.mjs'

let server, api
before(async () => {
  server = await serve({})
  api = client(server, { key: SERVICE_KEY })
})
after(() => server?.stop())

const TEXT = {
  'claude-sonnet-4': 11, 'claude-opus-4': 53, 'claude-opus-4.1': 53, 'claude-3.7-sonnet-thinking': 11, 'kimi-k2': 2, 'gpt-4o': 7,
  'gpt-4.1': 6, 'gpt-oss-120b': 1, 'gemini-2.5-pro': 7, 'gemini-2.5-flash': 2, 'deepseek-v3-0324': 1, 'deepseek-r1-0528': 2,
  'grok-4': 10, 'qwen3-coder': 3,
}
const IMAGE = {
  'flux-1.1-pro-ultra': 9, 'flux-1.1-pro': 6, 'flux-dev': 4, 'flux-krea-dev': 4, 'flux-schnell': 1, 'recraft-v3': 6,
  'recraft-v3-svg': 12, 'imagen-4': 6, 'imagen-4-fast': 3, 'imagen-4-ultra': 9, 'doubao-seedream-3.0-t2i': 6, 'qwen-image': 4,
}
const VIDEO = {
  'veo-3-fast-audio': 448, 'veo-3': 840, 'seedance-1-pro': 14, 'seedance-1-lite': 10, 'kling-v2.1-master': 196, 'wan-2.2-fast': 7,
}
const AUDIO = { bark: 10, 'ace-step': 1, 'audio-ldm': 10, 'elevenlabs-turbo-v2.5': 35, 'elevenlabs-multilingual-v2': 70 }
const UNITS = [[TEXT, 'input_tokens', 5000], [IMAGE, 'images', 1], [VIDEO, 'seconds', 1], [AUDIO, 'uses', 1]]
const ALL = UNITS.flatMap(([models]) => Object.keys(models))

const ask = (body) => send(server, 'POST', '/v1/estimate', { body: typeof body === 'string' ? body : JSON.stringify(body) })
const price = async (body) => answered(await ask(body))
const kimi = (usage) => ({ model: 'kimi-k2', usage })
const meters = ({ lines }) => Object.fromEntries(lines.map((line) => [line.meter, line.quantity]))

test('the service says that it lives, and its version', async () => {
  const body = answered(await send(server, 'GET', '/health'))
  assert.equal(typeof body.version, 'string')
})

describe('the catalog', () => {
  test('all mainstream AI models are supported: the guide names 37', async () => {
    const { models, hash } = answered(await send(server, 'GET', '/v1/catalog'))
    const ids = Array.isArray(models) ? models.map(({ id }) => id) : Object.keys(models)
    assert.equal(ids.length, 37)
    assert.deepEqual([...ids].sort(), [...ALL].sort())
    assert.equal(typeof hash, 'string')
    assert.equal((await price(kimi({ input_tokens: 1 }))).catalog, hash, 'an estimate names the catalog it was priced with')
  })

  test('the catalog names the six plans and the perk', async () => {
    const { plans, perks } = answered(await send(server, 'GET', '/v1/catalog'))
    for (const plan of ['free', 'starter', 'maker', 'plus', 'pro', 'max']) assert.ok(JSON.stringify(plans).includes(`"${plan}"`), plan)
    assert.ok(JSON.stringify(perks).includes('early_bird'))
  })

  test('a catalog that the caller has already is not sent again', async () => {
    const first = await send(server, 'GET', '/v1/catalog')
    const etag = header(first, 'etag')
    assert.match(etag, /^(W\/)?"[^"]+"$/)
    for (const known of [etag, `"other", ${etag}`, '*']) {
      const again = await send(server, 'GET', '/v1/catalog', { headers: { 'If-None-Match': known } })
      assert.equal(again.status, 304, known)
      assert.equal(again.text, '')
      assert.equal(header(again, 'etag'), etag)
    }
    const other = await send(server, 'GET', '/v1/catalog', { headers: { 'If-None-Match': '"other"' } })
    assert.deepEqual(answered(other), first.body)
  })
})

describe('the price of a call', () => {
  test('every model costs what the guide says, per 5K tokens, image, second or use', async () => {
    for (const [models, meter, quantity] of UNITS) {
      for (const [model, credits] of Object.entries(models)) {
        const line = { model, meter, quantity, per: quantity, rate: credits, credits }
        matches(await price({ model, usage: { [meter]: quantity } }), { credits, lines: [line], rounding: 0 }, model)
      }
    }
  })

  test('a text model is priced by all its tokens together, and rounded up once', async () => {
    const body = await price(kimi({ output_tokens: 800, input_tokens: 1200 }))
    matches(body, {
      credits: 1,
      lines: [
        { model: 'kimi-k2', meter: 'input_tokens', quantity: 1200, per: 5000, rate: 2, credits: 0.48 },
        { model: 'kimi-k2', meter: 'output_tokens', quantity: 800, per: 5000, rate: 2, credits: 0.32 },
      ],
      rounding: 0.2,
    })
    assert.equal(body.credits_max ?? null, null, 'no ceiling was asked for')
    assert.equal((await price(kimi({ input_tokens: 1, cached_input_tokens: 1, cache_write_tokens: 1, output_tokens: 1 }))).lines.length, 4)
  })

  const cases = [
    ['calling Kimi K2 consumes 1 credit', kimi({ input_tokens: 2500 }), 1, 0],
    ['a token more is a credit more', kimi({ input_tokens: 2501 }), 2, 0.9996],
    ['a single token costs a whole credit', kimi({ output_tokens: 1 }), 1, 0.9996],
    ['nothing used costs nothing', kimi({}), 0, 0],
    ['a quantity of zero costs nothing', kimi({ input_tokens: 0, output_tokens: 0 }), 0, 0],
    ['seconds take three decimals', { model: 'seedance-1-lite', usage: { seconds: 1.001 } }, 11, 0.99],
    ['a millisecond of video costs a whole credit', { model: 'wan-2.2-fast', usage: { seconds: 0.001 } }, 1, 0.993],
    ['a workflow is rounded once', { items: Array(3).fill(kimi({ input_tokens: 1000 })) }, 2, 0.8],
    ['flat items are rounded with the rest', { items: [{ credits: 1.5, description: 'a' }, kimi({ input_tokens: 1250 })] }, 2, 0],
    ['a flat item takes six decimals', { items: [{ credits: 0.000001, description: 'a' }] }, 1, 0.999999],
    ['a flat item of nothing costs nothing', { items: [{ credits: 0, description: 'a' }] }, 0, 0],
    ['tenths that a double cannot hold add up', { items: Array(10).fill({ credits: 0.1, description: 'a' }) }, 1, 0],
    ['the largest price is charged to the last token', kimi({ input_tokens: 2_499_999_997_500 }), 999_999_999, 0],
  ]
  for (const [title, request, credits, rounding] of cases) {
    test(title, async () => {
      const body = await price(request)
      matches(body, { credits, rounding })
      assert.equal(sum([...body.lines.map((line) => line.credits), body.rounding]), credits, 'the parts add up to the total')
    })
  }

  test('lines come in the order of items, then of meters, and a flat item has its own', async () => {
    const { lines } = await price({
      items: [
        { model: 'flux-dev', usage: { images: 2 } },
        { credits: 0.25, description: 'long image interpretation' },
        kimi({ output_tokens: 5, cache_write_tokens: 4, cached_input_tokens: 3, input_tokens: 0 }),
      ],
    })
    matches(lines, [
      { model: 'flux-dev', meter: 'images', quantity: 2, credits: 8 },
      { description: 'long image interpretation', credits: 0.25 },
      { model: 'kimi-k2', meter: 'cached_input_tokens', quantity: 3 },
      { model: 'kimi-k2', meter: 'cache_write_tokens', quantity: 4 },
      { model: 'kimi-k2', meter: 'output_tokens', quantity: 5 },
    ])
  })

  test('numbers count by their value, not by their spelling', async () => {
    for (const [spelled, quantity] of [['1000.0', 1000], ['1e3', 1000], ['1E+3', 1000], ['10000e-1', 1000], ['0.1e4', 1000], ['0.0', 0]]) {
      const body = await price(`{"model":"kimi-k2","usage":{"input_tokens":${spelled}}}`)
      assert.deepEqual(meters(body), quantity ? { input_tokens: quantity } : {}, spelled)
    }
    assert.equal((await price('{"model":"bark","usage":{"uses":1.000}}')).credits, 10)
    assert.equal((await price('{"model":"veo-3","usage":{"seconds":1e-3}}')).credits, 1)
  })

  test('the ceiling lays what may be used over what is used, meter by meter', async () => {
    matches(await price({ ...kimi({ input_tokens: 1000, output_tokens: 500 }), usage_max: { output_tokens: 4000 } }), { credits: 1, credits_max: 2 })
    matches(await price({ ...kimi({ input_tokens: 1000 }), usage_max: {} }), { credits: 1, credits_max: 1 })
    matches(await price({ items: [{ ...kimi({ input_tokens: 1000 }), usage_max: { input_tokens: 6000 } }, kimi({ input_tokens: 250 })] }),
      { credits: 1, credits_max: 3 })
  })
})

describe('the usage that providers report', () => {
  const cases = [
    ['OpenAI Chat Completions', 'openai', {
      prompt_tokens: 1000, completion_tokens: 500, total_tokens: 1500, prompt_tokens_details: { cached_tokens: 400, audio_tokens: 0 },
      completion_tokens_details: { reasoning_tokens: 100 },
    }, { input_tokens: 600, cached_input_tokens: 400, output_tokens: 500 }],
    ['OpenAI Responses', 'openai', {
      input_tokens: 1000, input_tokens_details: { cached_tokens: 400 }, output_tokens: 500, output_tokens_details: { reasoning_tokens: 9 },
      total_tokens: 1500,
    }, { input_tokens: 600, cached_input_tokens: 400, output_tokens: 500 }],
    ['OpenAI with nulls', 'openai', { prompt_tokens: 10, completion_tokens: 5, prompt_tokens_details: null, service_tier: null },
      { input_tokens: 10, output_tokens: 5 }],
    ['Anthropic', 'anthropic', {
      input_tokens: 1000, cache_read_input_tokens: 400, cache_creation_input_tokens: 200, output_tokens: 500, server_tool_use: null,
      service_tier: 'standard',
    }, { input_tokens: 1000, cached_input_tokens: 400, cache_write_tokens: 200, output_tokens: 500 }],
    ['Anthropic with nulls', 'anthropic', { input_tokens: 7, cache_read_input_tokens: null, cache_creation_input_tokens: null, output_tokens: 3 },
      { input_tokens: 7, output_tokens: 3 }],
    ['Gemini', 'gemini', {
      promptTokenCount: 1000, cachedContentTokenCount: 400, candidatesTokenCount: 300, thoughtsTokenCount: 200, toolUsePromptTokenCount: 50,
      totalTokenCount: 1550, promptTokensDetails: [{ modality: 'TEXT', tokenCount: 1000 }],
    }, { input_tokens: 650, cached_input_tokens: 400, output_tokens: 500 }],
  ]
  for (const [title, usage_format, usage, expected] of cases) {
    test(`${title} usage is read as its meters`, async () => {
      const body = await price({ model: 'gpt-4o', usage_format, usage })
      assert.deepEqual(meters(body), expected)
      assert.equal(body.credits, Math.ceil(Object.values(expected).reduce((a, b) => a + b) * 7 / 5000))
      assert.deepEqual((await price({ items: [{ model: 'gpt-4o', usage_format, usage }] })).lines, body.lines, 'named per item in a workflow')
    })
  }

  test('more cached than prompt tokens is refused', async () => {
    const usages = [
      ['openai', { prompt_tokens: 10, completion_tokens: 0, prompt_tokens_details: { cached_tokens: 11 } }],
      ['openai', { input_tokens: 10, output_tokens: 0, input_tokens_details: { cached_tokens: 11 } }],
      ['gemini', { promptTokenCount: 10, cachedContentTokenCount: 11, candidatesTokenCount: 0 }],
    ]
    for (const [usage_format, usage] of usages) refused(await ask({ model: 'gpt-4o', usage_format, usage }), 400)
  })

  test('a provider\'s numbers are numbers all the same', async () => {
    for (const prompt_tokens of ['1000', -1, 1.5, {}]) {
      refused(await ask({ model: 'gpt-4o', usage_format: 'openai', usage: { prompt_tokens, completion_tokens: 1 } }), 400)
    }
  })
})

describe('a refused estimate says why and where', () => {
  const wrongType = ['invalid_quantity', 'invalid_request']
  const cases = [
    ['an unknown model', { model: 'gpt-9', usage: {} }, 'unknown_model', 'model'],
    ['an unknown model in a workflow', { items: [kimi({}), { model: 'gpt-9', usage: {} }] }, 'unknown_model', 'items[1].model'],
    ['a model by its display name', { model: 'Kimi K2', usage: {} }, 'unknown_model', 'model'],
    ['an unknown meter', kimi({ characters: 1 }), 'unknown_meter', 'usage.characters'],
    ['a meter that the model has no price for', kimi({ images: 1 }), 'unknown_meter', 'usage.images'],
    ['such a meter in a workflow', { items: [kimi({}), { model: 'bark', usage: { seconds: 1 } }] }, 'unknown_meter', 'items[1].usage.seconds'],
    ['a negative quantity', kimi({ input_tokens: -1 }), 'invalid_quantity', 'usage.input_tokens'],
    ['half a token', kimi({ input_tokens: 1.5 }), 'invalid_quantity', 'usage.input_tokens'],
    ['a quantity too fine', { model: 'veo-3', usage: { seconds: 1.0001 } }, 'invalid_quantity', 'usage.seconds'],
    ['a quantity of floating point', { model: 'veo-3', usage: { seconds: 0.1 + 0.2 } }, 'invalid_quantity', 'usage.seconds'],
    ['a quantity in a string', kimi({ input_tokens: '1000' }), wrongType, 'usage.input_tokens'],
    ['a quantity of null', kimi({ input_tokens: null }), wrongType, 'usage.input_tokens'],
    ['a quantity of true', kimi({ input_tokens: true }), wrongType, 'usage.input_tokens'],
    ['a quantity in a list', kimi({ input_tokens: [1] }), wrongType, 'usage.input_tokens'],
    ['a bad ceiling', { ...kimi({}), usage_max: { output_tokens: -1 } }, 'invalid_quantity', 'usage_max.output_tokens'],
    ['negative credits', { items: [{ credits: -1, description: 'a' }] }, 'invalid_credits', 'items[0].credits'],
    ['credits too fine', { items: [{ credits: 0.0000001, description: 'a' }] }, 'invalid_credits', 'items[0].credits'],
    ['credits in a string', { items: [{ credits: '1', description: 'a' }] }, ['invalid_credits', 'invalid_request'], 'items[0].credits'],
    ['too many credits', { items: [{ credits: 1e9, description: 'a' }] }, 'amount_too_large'],
    ['items that come to too much together', { items: Array(2).fill({ credits: 500_000_000, description: 'a' }) }, 'amount_too_large'],
    ['a price that is rounded up to too much', { items: [{ credits: 999_999_999.5, description: 'a' }] }, 'amount_too_large'],
    ['a token above the largest price', kimi({ input_tokens: 2_499_999_997_501 }), 'amount_too_large'],
    ['an absurd quantity', kimi({ input_tokens: 1e18 }), ['amount_too_large', 'invalid_quantity']],
    ['an unknown usage format', { ...kimi({}), usage_format: 'mistral' }, 'unknown_usage_format', 'usage_format'],
    ['an unknown usage format in a workflow', { items: [{ ...kimi({}), usage_format: 'mistral' }] }, 'unknown_usage_format', 'items[0].usage_format'],
    ['an unknown field', { ...kimi({}), colour: 'red' }, 'invalid_request', 'colour'],
    ['an unknown field of an item', { items: [{ ...kimi({}), colour: 'red' }] }, 'invalid_request', 'items[0].colour'],
    ['no items', { items: [] }, 'invalid_request', 'items'],
    ['items that are no list', { items: {} }, 'invalid_request', 'items'],
    ['an item that is no object', { items: [5] }, 'invalid_request'],
    ['both a model and items', { ...kimi({}), items: [kimi({})] }, 'invalid_request'],
    ['a model that is no string', { model: 5, usage: {} }, 'invalid_request', 'model'],
    ['a usage that is no object', { model: 'kimi-k2', usage: [] }, 'invalid_request', 'usage'],
    ['nothing at all', {}, 'invalid_request'],
  ]
  for (const [title, request, codes, field] of cases) {
    test(`${title} is refused`, async () => refused(await ask(request), 400, codes, field ? { field } : {}))
  }
})

test('prices are public, and a service key does no harm', async () => {
  assert.equal(answered(await api.post('/v1/estimate', kimi({ input_tokens: 2500 }), { idempotencyKey: null })).credits, 1)
})
