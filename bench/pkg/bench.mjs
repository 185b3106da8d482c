// How fast estimates are, beside the same in JavaScript on big.js, in Node and in Chromium; how large the wasm is at each
// level of optimisation, and how fast it is then; and whose code it is. Prints three tables, in three minutes.

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'
import { buildPkg } from '../../scripts/build-pkg.mjs'
import { setup } from '../../scripts/setup.mjs'
import { installTestTools } from '../../scripts/test-pkg.mjs'
import { main } from '../../scripts/tools.mjs'
import { atEveryLevel, byCrate } from './sizes.mjs'

const HERE = dirname(fileURLToPath(import.meta.url))
const TESTS = join(HERE, '..', '..', 'tests', 'pkg')

async function bench() {
  await setup()
  await buildPkg()
  await installTestTools()
  const folder = mkdtempSync(join(tmpdir(), 'edge-credits-bench-'))
  try {
    const script = join(folder, 'bench.mjs')
    await build({
      stdin: {
        contents: `
          import { createEstimator } from '../../pkg/dist/index.js'
          import Big from 'big.js'
          import { race } from './race.js'
          import { estimators } from '../../pkg/js/load.js'
          export const found = () => createEstimator().then((estimator) => race(estimator, Big))
          export const foundWith = async (wasm) => race(await estimators(async () => wasm)(), Big)
        `,
        resolveDir: HERE,
      },
      alias: { 'big.js': join(TESTS, 'node_modules', 'big.js') },
      outfile: script, bundle: true, format: 'esm', logLevel: 'error',
    })
    const inNode = await (await import(script)).found()
    const inChromium = await raceInChromium(readFileSync(script, 'utf8'))
    printSpeeds({ [`Node ${process.versions.node}`]: inNode, ...inChromium })
    // What calls the wasm remembers its memory, so that each has one of its own.
    printLevels(await atEveryLevel(async (wasm, level) => (await import(`${script}?${level}`)).foundWith(wasm)))
    printCrates(await byCrate())
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

async function raceInChromium(script) {
  const { openChromium } = await import(join(TESTS, 'chromium.mjs'))
  const server = createServer(({ url }, response) => {
    const [type, body] = url === '/bench.mjs' ? ['text/javascript', script] : ['text/html', '<!doctype html><title>bench</title>']
    response.writeHead(200, { 'content-type': type }).end(body)
  })
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
  const browser = await openChromium()
  try {
    const page = await browser.newPage()
    await page.goto(`http://127.0.0.1:${server.address().port}/`)
    return { [`Chromium ${browser.version()}`]: await page.evaluate(async () => (await import('/bench.mjs')).found()) }
  } finally {
    await browser.close()
    server.close()
  }
}

function printSpeeds(table) {
  console.log('| | | edge-credits | JavaScript, big.js | times as fast |')
  console.log('| --- | --- | ---: | ---: | ---: |')
  for (const [place, races] of Object.entries(table)) {
    for (const [name, { ours, theirs, ratio }] of Object.entries(races)) {
      console.log(`| ${place} | ${name} | ${ours.toFixed(0)} ns | ${theirs.toFixed(0)} ns | ${ratio.toFixed(1)} |`)
    }
  }
}

function printLevels(levels) {
  console.log('\n| opt-level | wasm | gzipped | singly | times as fast | in batches | times as fast |')
  console.log('| --- | ---: | ---: | ---: | ---: | ---: | ---: |')
  for (const { level, raw, gzipped, races } of levels) {
    const speeds = Object.values(races).flatMap(({ ours, ratio }) => [`${ours.toFixed(0)} ns`, ratio.toFixed(1)])
    console.log(`| ${[level, kilobytes(raw), kilobytes(gzipped), ...speeds].join(' | ')} |`)
  }
}

function printCrates(crates) {
  console.log('\n| code of | wasm | gzipped, its part |')
  console.log('| --- | ---: | ---: |')
  for (const { crate, raw, gzipped } of crates) console.log(`| ${crate} | ${kilobytes(raw)} | ${kilobytes(gzipped)} |`)
}

const kilobytes = (bytes) => `${(bytes / 1000).toFixed(1)} KB`

await main(bench)
