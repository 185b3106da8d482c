// What worker/openapi.json promises, as a judge of answers.
//
//     contract.judge('GET', '/v1/accounts/ada', { status, headers, body })   // throws where they disagree

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import Ajv2020 from 'ajv/dist/2020.js'
import addFormats from 'ajv-formats'

export const document = JSON.parse(readFileSync(new URL('../../worker/openapi.json', import.meta.url), 'utf8'))

const BASE = 'openapi.json'
const METHODS = ['get', 'put', 'post', 'delete', 'patch']

// Strict, so that a keyword with a typing error is not passed over. Schemas that are laid over others name no type,
// and only some of the fields.
const ajv = new Ajv2020({ strict: true, strictTypes: false, strictRequired: false, allowUnionTypes: true, allErrors: true })
addFormats(ajv)
ajv.addVocabulary(['openapi', 'info', 'servers', 'security', 'tags', 'paths', 'webhooks', 'components'])
ajv.addSchema(document, BASE)

const escaped = (key) => encodeURIComponent(key.replaceAll('~', '~0').replaceAll('/', '~1'))
const pointer = (...keys) => `#/${keys.map(escaped).join('/')}`

/** What a pointer leads to, and where it is in the end: references are followed. */
export function follow(place) {
  const node = place.slice(2).split('/').reduce((at, key) => at[decodeURIComponent(key).replaceAll('~1', '/').replaceAll('~0', '~')], document)
  return typeof node.$ref === 'string' && Object.keys(node).length === 1 ? follow(node.$ref) : { node, place }
}

const compiled = new Map()

/** What is wrong with a value by the schema at this place, in words; nothing if it is right. */
export function complaint(place, value) {
  if (!compiled.has(place)) compiled.set(place, ajv.compile({ $ref: BASE + place }))
  const validate = compiled.get(place)
  return validate(value) ? null : ajv.errorsText(validate.errors, { dataVar: '', separator: '\n  ' })
}

/** Every operation: its method, its path with names in braces, and what the document says of it. */
export const operations = Object.entries(document.paths).flatMap(([path, item]) =>
  METHODS.filter((method) => item[method]).map((method) => ({
    method: method.toUpperCase(),
    path,
    operation: item[method],
    place: pointer('paths', path, method),
    parameters: [...(item.parameters ?? []), ...(item[method].parameters ?? [])].map((parameter) =>
      parameter.$ref ? follow(parameter.$ref).node : parameter),
  })))

/** The operation of a request, or nothing. Names in a path stand for one segment; the literal path goes first. */
export function find(method, url) {
  const path = url.split('?')[0]
  const matches = (template) => new RegExp(`^${template.replaceAll('.', '\\.').replace(/\{\w+\}/g, '[^/]*')}$`).test(path)
  const names = ({ path }) => path.split('{').length
  return operations
    .filter((one) => one.method === method && matches(one.path))
    .sort((left, right) => names(left) - names(right))[0]
}

/** Holds an answer against the document. The body is parsed JSON, or an empty string where there is none. */
export function judge(method, url, { status, headers, body }) {
  const found = find(method, url)
  const told = (problem) => `${method} ${url.slice(0, 200)} answered ${status}, ${problem}: ${JSON.stringify(body).slice(0, 2000)}`
  assert.ok(found, told('and the document has no such operation'))
  const response = found.operation.responses[status]
  assert.ok(response, told('a status that the document does not have there'))
  const { node, place } = follow(`${found.place}/responses/${status}`)

  for (const [name, header] of Object.entries(node.headers ?? {})) {
    const at = follow(header.$ref ?? `${place}/headers/${escaped(name)}`)
    const text = headers.get(name)
    if (text === null) assert.ok(!at.node.required, told(`without the header ${name}`))
    else {
      const value = at.node.schema.type === 'integer' ? Number(text) : text
      assert.equal(complaint(`${at.place}/schema`, value), null, told(`with ${name}: ${text}`))
    }
  }
  if (headers.get('Idempotent-Replayed') !== null) assert.ok(node.headers['Idempotent-Replayed'], told('unexpectedly replayed'))

  const [type] = (headers.get('Content-Type') ?? '').split(';')
  if (!node.content) return assert.ok(body === '' || body === null, told('with a body that the document does not know'))
  assert.ok(node.content[type], told(`as \`${type}\`, which the document does not know`))
  const wrong = complaint(`${place}/content/${escaped(type)}/schema`, body)
  assert.equal(wrong, null, told(`which is not what the document says:\n  ${wrong}\n`))
}
