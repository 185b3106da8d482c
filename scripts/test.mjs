// Runs every test: the Rust ones natively, those of the npm package in its users' surroundings, those that schemathesis
// makes up from the API's document, then the end-to-end ones against the real build in workerd. `--core` and `--e2e` run
// the one or the other; further arguments choose end-to-end files by a part of their name.

import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { build } from './build.mjs'
import { setup } from './setup.mjs'
import { testOpenApi } from './test-openapi.mjs'
import { testPkg } from './test-pkg.mjs'
import { Failure, ROOT, main, paths, run } from './tools.mjs'

async function test({ core, e2e, names }) {
  await setup()
  if (core) {
    console.log('test: the Rust tests (compiling takes a minute or two the first time)')
    const code = await run('cargo', ['test', '--workspace', '--quiet'])
    if (code !== 0) return code
  }
  if (!e2e) return 0

  await build()
  if (names.length === 0) {
    const code = await testPkg() || await testOpenApi(['--max-examples', '10'])
    if (code !== 0) return code
  }
  const folder = join('tests', 'e2e')
  const files = (existsSync(join(ROOT, folder)) ? readdirSync(join(ROOT, folder)) : [])
    .filter((file) => file.endsWith('.test.mjs'))
    .filter((file) => names.length === 0 || names.some((name) => file.includes(name)))
    .sort()
    .map((file) => join(folder, file))
  if (files.length === 0) throw new Failure(`no end-to-end test in ${folder} matches`)
  console.log(`test: ${files.length} end-to-end test files`)
  return run(paths.node, [
    // Every answer of every test is held against the API's document.
    '--import', './tests/openapi/every-answer.mjs', '--disable-warning=ExperimentalWarning',
    '--test', '--test-reporter=spec', '--test-concurrency=2', '--test-timeout=180000', ...files,
  ])
}

const args = process.argv.slice(2)
const names = args.filter((arg) => !arg.startsWith('--'))
await main(() => test({ core: !args.includes('--e2e'), e2e: !args.includes('--core'), names }))
