// Builds the Worker into build/: index.js, the module that wrangler and workerd load, and index_bg.wasm. Nothing is
// done when nothing has changed since the last build.

import { cpSync, mkdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { setup } from './setup.mjs'
import { Failure, WASM_TARGET, ask, hashOf, isMain, locked, machinePaths, main, must, paths, read, wasmEnv, ROOT } from './tools.mjs'

const INPUTS = [
  'Cargo.toml', 'Cargo.lock', 'src', 'worker', 'catalog', 'package-lock.json',
  'scripts/build.mjs', 'scripts/tools.mjs', 'scripts/worker',
]

// What rustc turns on by default for this target, and exceptions, which wasm-bindgen uses: named one by one, so that
// wasm-opt never writes an encoding that a runtime does not know yet.
const WASM_FEATURES = [
  'mutable-globals', 'sign-ext', 'nontrapping-float-to-int', 'bulk-memory', 'multivalue', 'reference-types',
  'exception-handling',
]

export function build() {
  return locked('build', async () => {
    const stamp = join(paths.workerBuild, '.stamp')
    const hash = hashOf(INPUTS, ask('rustc', ['--version']))
    if (read(stamp) === hash) {
      console.log('build: the Worker is up to date')
      return
    }
    console.log('build: compiling the Worker (a minute or two the first time)')
    rmSync(stamp, { force: true })
    const staging = join(paths.workerBuild, '.staging')
    rmSync(staging, { recursive: true, force: true })
    mkdirSync(staging, { recursive: true })
    await compile(staging)
    refuseMachinePaths(join(staging, 'out', 'index_bg.wasm'))
    for (const name of ['index_bg.wasm', 'index.js']) {
      renameSync(join(staging, 'out', name), join(paths.workerBuild, name))
    }
    rmSync(staging, { recursive: true })
    writeFileSync(stamp, hash)
    console.log(`build: the Worker is ready, ${sizeOf(join(paths.workerBuild, 'index_bg.wasm'))} of wasm`)
  })
}

async function compile(staging) {
  await must('cargo', [
    'build', '--package', 'edge-credits-worker', '--lib', '--profile', 'worker', '--target', WASM_TARGET, '--quiet',
  ], { env: wasmEnv() })

  const target = process.env.CARGO_TARGET_DIR ?? join(ROOT, 'target')
  await must(paths.wasmBindgen, [
    join(target, WASM_TARGET, 'worker', 'edge_credits_worker.wasm'),
    '--out-dir', staging, '--out-name', 'index', '--target', 'module', '--no-typescript',
    // Both are what scripts/worker/module.js starts afresh with.
    '--experimental-reset-state-function', '--force-enable-abort-handler',
  ])

  // Runtimes import a .wasm file as a compiled module by a plain import; `import source` is not in all of them yet.
  const bindings = join(staging, 'index.js')
  writeFileSync(bindings, readFileSync(bindings, 'utf8').replace('import source ', 'import '))
  cpSync(join(ROOT, 'scripts', 'worker'), staging, { recursive: true })
  const document = readFileSync(join(ROOT, 'worker', 'openapi.json'), 'utf8')
  writeFileSync(join(staging, 'openapi.json'), JSON.stringify(JSON.parse(document)))
  await must(paths.npmBin('esbuild'), [
    join(staging, 'entry.js'), '--bundle', '--format=esm', '--minify', '--loader:.json=text', '--log-level=warning',
    '--external:./index_bg.wasm', '--external:cloudflare:*', `--outfile=${join(staging, 'out', 'index.js')}`,
  ])

  await must(paths.node, [
    paths.npmBin('wasm-opt'), join(staging, 'index_bg.wasm'), '-Oz',
    ...WASM_FEATURES.map((feature) => `--enable-${feature}`),
    '-o', join(staging, 'out', 'index_bg.wasm'),
  ])
}

/** Whoever downloads the wasm learns nothing about the machine that built it. */
function refuseMachinePaths(wasm) {
  const bytes = readFileSync(wasm)
  const found = machinePaths().find(([path]) => bytes.includes(path))
  if (found) throw new Failure(`the wasm names the folder ${found[0]} of this machine`)
}

function sizeOf(path) {
  const kilobytes = (bytes) => `${Math.round(bytes / 1000)} KB`
  return `${kilobytes(statSync(path).size)} (${kilobytes(gzipSync(readFileSync(path)).length)} gzipped)`
}

if (isMain(import.meta)) {
  await main(async () => {
    await setup()
    await build()
  })
}
