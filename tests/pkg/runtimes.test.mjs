import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { build } from 'esbuild'
import { cpSync, readFileSync, writeFileSync } from 'node:fs'
import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { must, nodes, project, readVectors, tool, workspaceTool } from './projects.mjs'

const COUNT = readVectors().cases.length

const ESM = `
  import { readFileSync } from 'node:fs'
  import * as edgeCredits from 'edge-credits'
  import { EdgeCredits, EdgeCreditsError } from 'edge-credits/client'
  import { check } from './everywhere.mjs'
  if (EdgeCreditsError !== edgeCredits.EdgeCreditsError) throw new Error('there are two classes of errors')
  new EdgeCredits({ baseUrl: 'http://localhost' })
  const vectors = JSON.parse(readFileSync(new URL('./vectors.json', import.meta.url), 'utf8'))
  console.log(JSON.stringify(await check(edgeCredits, vectors)))
`
const COMMONJS = `
  const { readFileSync } = require('node:fs')
  const edgeCredits = require('edge-credits')
  const { EdgeCredits, EdgeCreditsError } = require('edge-credits/client')
  if (EdgeCreditsError !== edgeCredits.EdgeCreditsError) throw new Error('there are two classes of errors')
  new EdgeCredits({ baseUrl: 'http://localhost' })
  const vectors = JSON.parse(readFileSync(__dirname + '/vectors.json', 'utf8'))
  import('./everywhere.mjs').then(({ check }) => check(edgeCredits, vectors)).then((found) => console.log(JSON.stringify(found)))
`

let folder
before(async () => {
  folder = await project({ 'module.mjs': ESM, 'common.cjs': COMMONJS })
})

async function agrees(command, args) {
  const found = JSON.parse(await must(command, args, { cwd: folder }))
  assert.deepEqual(found, { agreed: COUNT, differing: [] })
}

for (const [name, node] of Object.entries(nodes)) {
  test(`${name} answers every vector when it imports the package`, () => agrees(node, ['module.mjs']))
  test(`${name} answers every vector when it requires the package`, () => agrees(node, ['common.cjs']))
}

test('Deno answers every vector', () => agrees(tool('deno'), ['run', '--allow-read', '--no-remote', '--node-modules-dir=manual', 'module.mjs']))

test('Bun answers every vector when it imports the package', () => agrees(tool('bun'), ['module.mjs']))

test('Bun answers every vector when it requires the package', () => agrees(tool('bun'), ['common.cjs']))

test('a Worker in workerd answers every vector, with the wasm as a module of its own', async () => {
  const worker = await project({
    'worker.js': `
      import * as edgeCredits from 'edge-credits'
      import { EdgeCredits } from 'edge-credits/client'
      import { check } from './everywhere.mjs'
      import vectors from './vectors.json'
      export default {
        async fetch() {
          new EdgeCredits({ baseUrl: 'http://localhost' })
          return Response.json(await check(edgeCredits, vectors))
        },
      }
    `,
  })
  await build({
    absWorkingDir: worker, entryPoints: ['worker.js'], outfile: 'out/worker.js', bundle: true, format: 'esm',
    conditions: ['workerd', 'worker', 'browser'], external: ['*.wasm'], logLevel: 'error',
  })
  assert.ok(!readFileSync(join(worker, 'out/worker.js'), 'utf8').includes('DecompressionStream'), 'the Worker carries no wasm within its JavaScript')
  cpSync(join(worker, 'node_modules/edge-credits/dist/edge_credits.wasm'), join(worker, 'out/edge_credits.wasm'))
  writeFileSync(join(worker, 'out/config.capnp'), `
    using Workerd = import "/workerd/workerd.capnp";
    const config :Workerd.Config = (
      services = [(name = "main", worker = (
        modules = [(name = "worker.js", esModule = embed "worker.js"), (name = "edge_credits.wasm", wasm = embed "edge_credits.wasm")],
        compatibilityDate = "2025-01-01",
      ))],
      sockets = [(name = "http", address = "127.0.0.1:0", http = (), service = "main")],
    );
  `)
  const { url, stop } = await serveWorker(join(worker, 'out/config.capnp'))
  try {
    const answer = await fetch(url)
    assert.deepEqual(await answer.json(), { agreed: COUNT, differing: [] })
  } finally {
    stop()
  }
})

/** Runs workerd, which tells the port that it listens on over its control pipe. */
function serveWorker(config) {
  return new Promise((resolve, reject) => {
    const workerd = spawn(workspaceTool('workerd'), ['serve', config, '--control-fd=3'], { stdio: ['ignore', 'inherit', 'inherit', 'pipe'] })
    const stop = () => workerd.kill('SIGKILL')
    let told = ''
    workerd.stdio[3].on('data', (data) => {
      told += data
      const port = told.match(/"port":(\d+)/)?.[1]
      if (port) resolve({ url: `http://127.0.0.1:${port}/`, stop })
    })
    workerd.on('error', reject)
    workerd.on('exit', (code) => reject(new Error(`workerd ended with ${code}`)))
    after(stop)
  })
}
