import assert from 'node:assert/strict'
import { createReadStream, existsSync, readFileSync, readdirSync, statSync } from 'node:fs'
import { createServer } from 'node:http'
import { extname, join } from 'node:path'
import { after, before, test } from 'node:test'
import { gzipSync } from 'node:zlib'
import { browserMissing, openChromium } from './chromium.mjs'
import { project, readVectors } from './projects.mjs'

const COUNT = readVectors().cases.length
const TYPES = { '.html': 'text/html', '.js': 'text/javascript', '.mjs': 'text/javascript', '.json': 'application/json', '.wasm': 'application/wasm' }
/** As strict as it gets for a page that runs wasm at all. */
const POLICY = "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; connect-src 'self'"

const PAGE = (script) => `<!doctype html><title>a user</title><script type="module" src="${script}"></script>`
const APP = (specifier) => `
  import * as edgeCredits from '${specifier}'
  import { check } from './everywhere.mjs'
  const vectors = await (await fetch('/vectors.json')).json()
  globalThis.found = await check(edgeCredits, vectors)
`

let browser
before(async () => {
  if (!browserMissing) browser = await openChromium()
})
after(() => browser?.close())

/** Opens a folder's index.html in Chromium and gives what its script found. */
async function opened(root, extra = {}) {
  const server = createServer((request, response) => {
    const { pathname } = new URL(request.url, 'http://localhost')
    const name = pathname === '/' ? '/index.html' : pathname
    const file = [join(root, name), extra[name]].find((path) => path && existsSync(path))
    if (!file) return response.writeHead(404).end()
    response.writeHead(200, { 'content-type': TYPES[extname(file)] ?? 'text/plain', 'content-security-policy': POLICY })
    createReadStream(file).pipe(response)
  })
  const page = await browser.newPage()
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
  const errors = []
  page.on('pageerror', (error) => errors.push(error.message))
  try {
    await page.goto(`http://127.0.0.1:${server.address().port}/`)
    await page.waitForFunction(() => 'found' in globalThis, null, { timeout: 20_000 }).catch((error) => {
      throw new Error(`${error.message}\n${errors.join('\n')}`)
    })
    return await page.evaluate(() => globalThis.found)
  } finally {
    await page.close()
    server.close()
  }
}

test('a plain module script answers every vector in Chromium, without any bundler', { skip: browserMissing }, async () => {
  const folder = await project({ 'index.html': PAGE('./app.js'), 'app.js': APP('./node_modules/edge-credits/dist/index.js') })
  assert.deepEqual(await opened(folder), { agreed: COUNT, differing: [] })
})

test('a Vite build answers every vector in Chromium', { skip: browserMissing }, async () => {
  const folder = await project({ 'index.html': PAGE('./app.js'), 'app.js': APP('edge-credits') })
  const { build } = await import('vite')
  await build({ root: folder, logLevel: 'error', build: { outDir: 'out' } })
  assert.deepEqual(await opened(join(folder, 'out'), { '/vectors.json': join(folder, 'vectors.json') }), { agreed: COUNT, differing: [] })
  // What a user waits for: the wasm, what calls it, and the catalog.
  assert.ok(sizeOf(join(folder, 'out')) < 55_000, `${sizeOf(join(folder, 'out'))} bytes, gzipped`)
})

test('a webpack build answers every vector in Chromium', { skip: browserMissing }, async () => {
  const folder = await project({ 'index.html': PAGE('./out/app.js'), 'app.js': APP('edge-credits') })
  const { default: webpack } = await import('webpack')
  const stats = await new Promise((resolve, reject) => {
    const config = {
      mode: 'production', context: folder, entry: './app.js', target: 'web', performance: { hints: false },
      output: { path: join(folder, 'out'), filename: 'app.js' },
    }
    webpack(config, (error, made) => (error ? reject(error) : resolve(made)))
  })
  assert.deepEqual(stats.compilation.errors.concat(stats.compilation.warnings).map(String), [])
  assert.deepEqual(await opened(folder), { agreed: COUNT, differing: [] })
})

test('a bundle that uses only the client carries no wasm', { skip: browserMissing }, async () => {
  const folder = await project({
    'index.html': PAGE('./app.js'),
    'app.js': "import { EdgeCredits } from 'edge-credits/client'\nglobalThis.found = typeof new EdgeCredits({ baseUrl: '/' }).metered",
  })
  const { build } = await import('vite')
  await build({ root: folder, logLevel: 'error', build: { outDir: 'out' } })
  assert.equal(await opened(join(folder, 'out')), 'function')
  assert.ok(sizeOf(join(folder, 'out')) < 6_000)
})

test('a bundle that imports the package and uses nothing of it is empty', async () => {
  const folder = await project({ 'index.html': PAGE('./app.js'), 'app.js': "import 'edge-credits'\nglobalThis.found = 1" })
  const { build } = await import('vite')
  await build({ root: folder, logLevel: 'error', build: { outDir: 'out', modulePreload: { polyfill: false } } })
  assert.ok(sizeOf(join(folder, 'out')) < 1_000)
})

/** What a browser downloads of a build, gzipped. */
function sizeOf(folder) {
  return readdirSync(folder, { recursive: true })
    .map((name) => join(folder, name))
    .filter((path) => statSync(path).isFile() && path.endsWith('.js'))
    .reduce((sum, path) => sum + gzipSync(readFileSync(path)).length, 0)
}
