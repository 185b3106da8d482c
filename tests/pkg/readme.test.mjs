// The README's examples, run as they stand. `expression // => value` is what they promise.

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { serve } from '../e2e/harness.mjs'
import { ROOT, must, nodes, project } from './projects.mjs'

const README = readFileSync(join(ROOT, 'pkg', 'README.md'), 'utf8')
const PROMISE = /^(\s*)(.+?) \/\/ => (.+)$/gm

/** The examples of the README's part from one heading to another, as one module that checks what they promise. */
function moduleOf(from, to) {
  const part = README.slice(README.indexOf(`\n## ${from}\n`), to ? README.indexOf(`\n## ${to}\n`) : undefined)
  const code = [...part.matchAll(/^```js\n([\s\S]*?)^```/gm)].map(([, block]) => block).join('\n')
  // Imports of all examples come first; a statement that ends with a promise begins at the last line that starts one.
  const imports = [...new Set(code.match(/^import .+$/gm))]
  const statements = code.replace(/^import .+$/gm, '').split(/\n(?=\S)/).reduce((all, line) => {
    if (/^[\])}]/.test(line)) all.push(`${all.pop()}\n${line}`)
    else all.push(line)
    return all
  }, [])
  const checked = statements.map((statement) => {
    const text = statement.trimEnd()
    const last = text.slice(text.lastIndexOf('\n') + 1)
    const promise = last.match(/^(.*) \/\/ => (.+)$/)
    if (!/ \/\/ => /.test(text)) return text
    if (/^(try|if|for)\b/.test(text) || !promise) return text.replace(PROMISE, (_, space, expression, value) => `${space}promised(${expression}, ${value})`)
    const expression = text.slice(0, text.length - last.length) + promise[1]
    return `promised(${expression.trim()}, ${promise[2]})`
  })
  assert.ok(checked.join('').includes('promised('))
  return `
    import assert from 'node:assert/strict'
    ${imports.join('\n')}
    let count = 0
    const promised = (found, value) => { count++; assert.deepEqual(found, value) }
    ${checked.join('\n;')}
    console.log(count)
  `
}

const promises = (from, to) => README.slice(README.indexOf(`\n## ${from}\n`), README.indexOf(`\n## ${to}\n`)).match(/ \/\/ => /g).length

let folder, server
before(async () => {
  server = await serve()
  folder = await project({
    'estimates.mjs': moduleOf('Estimates', 'The client'),
    'client.mjs': moduleOf('The client', 'Size and speed').replace('http://localhost:8787', server.url),
  })
})

after(() => server?.stop())

test('the examples of estimates give what the README says', async () => {
  const count = await must(nodes['Node 20'], ['estimates.mjs'], { cwd: folder })
  assert.equal(Number(count), promises('Estimates', 'The client'))
})

test('the examples of the client give what the README says', async () => {
  const count = await must(nodes['Node 20'], ['client.mjs'], { cwd: folder })
  assert.equal(Number(count), promises('The client', 'Size and speed'))
})
