// The types of the API's shapes, out of the same document that every answer of the tests is held against: a type for
// each schema, under its own name, one for each call's query, named `<operation>Query`, and the codes of its errors.

import openapiTS, { astToString } from 'openapi-typescript'
import ts from 'typescript'

const HEAD = '// What requests and answers of the HTTP API look like, as the API\'s document says.\n\n'

/** TypeScript declarations of an OpenAPI document. */
export async function apiTypes(document) {
  const declarations = await openapiTS(document, {
    // A field with a default may be left out; it is nothing that an answer has.
    defaultNonNullable: false,
    silent: true,
  })
  const named = (name) => declarations.find((node) => node.name?.text === name)
  const schemas = member(named('components').members, 'schemas').type.members
  const parameters = member(named('components').members, 'parameters').type.members
  const operations = named('operations').members
  const types = [
    ...schemas.map((schema) => [nameOf(schema), schema.type, schema]),
    ...operations.flatMap((operation) => {
      const query = member(member(operation.type.members, 'parameters').type.members, 'query')
      const name = nameOf(operation)
      return query.type.members ? [[`${name[0].toUpperCase()}${name.slice(1)}Query`, query.type]] : []
    }),
  ]
  const text = types.map(([name, type, from]) => declaration(name, type, from)).join('\n')
  const parameter = (_, name) => astToString(member(parameters, name).type).trim()
  const codes = codesOf(document.components.responses).map((code) => ` | '${code}'`).join('\n')
  return `${HEAD}${plain(text.replace(/components\["parameters"\]\["(\w+)"\]/g, parameter))}\nexport type Code =\n${codes};\n`
}

function declaration(name, type, from) {
  const alias = ts.factory.createTypeAliasDeclaration(
    [ts.factory.createModifier(ts.SyntaxKind.ExportKeyword)], name, undefined, type,
  )
  const comments = from?.emitNode?.leadingComments
  if (comments) alias.emitNode = { leadingComments: comments }
  return astToString([alias])
}

/** The same in plain words: names without where they come from, and comments without what the types say anyway. */
function plain(text) {
  return text
    .replace(/components\["schemas"\]\["(\w+)"\]/g, '$1')
    .replace(/ *\/\*\* @(enum|constant).*\*\/\n/g, '')
    .replace(/ *\* @(enum|constant).*\n/g, '')
    .replace(/@description /g, '')
}

/** Every code that an answer may have, by name. */
function codesOf(part) {
  if (typeof part !== 'object' || part === null) return []
  const codes = Object.entries(part).flatMap(([name, value]) => [
    ...(name === 'code' ? value.enum ?? [value.const] : []), ...codesOf(value),
  ])
  return [...new Set(codes.filter(Boolean))].sort()
}

const nameOf = (node) => node.name.text
const member = (members, name) => members.find((node) => nameOf(node) === name)
