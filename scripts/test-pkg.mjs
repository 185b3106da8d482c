// Tests the npm package as its users get it: packs it, and installs the tarball into fresh projects of bundlers,
// runtimes and browsers. Arguments choose test files by a part of their name.

import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { build } from './build.mjs'
import { buildPkg } from './build-pkg.mjs'
import { setup } from './setup.mjs'
import { Failure, ROOT, hashOf, isMain, locked, main, must, paths, read, run } from './tools.mjs'

const FOLDER = join('tests', 'pkg')

/** Installs what the package is tried with, which the workspace itself needs nothing of. */
export function installTestTools() {
  return locked('test-pkg', async () => {
    const stamp = join(ROOT, FOLDER, 'node_modules', '.lock-hash')
    const hash = hashOf([join(FOLDER, 'package-lock.json')])
    if (read(stamp) === hash) return
    console.log('test: installing bundlers and runtimes to try the package with (once, half a minute)')
    // Not `npm ci`, which wants every platform's binaries of Deno in the lock file, and registries may lack some.
    await must('npm', ['install', '--no-save', '--loglevel=error', '--no-audit', '--no-fund', '--ignore-scripts=false'], { cwd: join(ROOT, FOLDER) })
    writeFileSync(stamp, hash)
  })
}

/** Packs the package into a folder and gives the tarball. */
export async function pack(folder) {
  await must('npm', ['pack', '--silent', '--ignore-scripts', '--pack-destination', folder], { cwd: join(ROOT, 'pkg'), stdio: ['ignore', 'ignore', 'inherit'] })
  return join(folder, readdirSync(folder).find((name) => name.endsWith('.tgz')))
}

export async function testPkg(names = []) {
  await setup()
  await buildPkg()
  await build() // The client is tried on the real Worker.
  await installTestTools()
  const files = readdirSync(join(ROOT, FOLDER))
    .filter((file) => file.endsWith('.test.mjs'))
    .filter((file) => names.length === 0 || names.some((name) => file.includes(name)))
    .sort()
    .map((file) => join(FOLDER, file))
  if (files.length === 0) throw new Failure(`no test of the package in ${FOLDER} matches`)

  const folder = mkdtempSync(join(tmpdir(), 'edge-credits-tarball-'))
  try {
    const env = { EDGE_CREDITS_TARBALL: await pack(folder) }
    console.log(`test: ${files.length} test files of the npm package`)
    return await run(paths.node, ['--test', '--test-reporter=spec', '--test-concurrency=2', ...files], { env })
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

if (isMain(import.meta)) await main(() => testPkg(process.argv.slice(2)))
