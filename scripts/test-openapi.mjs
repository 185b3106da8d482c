// Tests the API against its document, worker/openapi.json, with thousands of requests that schemathesis makes up from
// it: none may be answered by a fault, or by anything that the document does not say. Arguments go to schemathesis:
// `--seed 7` makes up other requests, `--max-examples 500` more of them.

import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { build } from './build.mjs'
import { setup } from './setup.mjs'
import { Failure, ROOT, ask, hashOf, isMain, locked, main, must, paths, read, run } from './tools.mjs'

const PYTHON = join(paths.tools, 'python')
const SCHEMATHESIS = join(PYTHON, 'bin', 'schemathesis')
const REQUIREMENTS = join('tests', 'openapi', 'requirements.txt')
const OLDEST_PYTHON = [3, 10]
const CHECKS = [
  'not_a_server_error', 'status_code_conformance', 'content_type_conformance', 'response_headers_conformance',
  'response_schema_conformance', 'negative_data_rejection', 'unsupported_method', 'allow_header_conformance',
  'ignored_auth',
]

/** Installs schemathesis into a virtual environment of its own; false where there is no Python to do so. */
async function installSchemathesis() {
  const version = ask('python3', ['-c', 'import sys, venv, ensurepip; print("%d.%d" % sys.version_info[:2])'])
  const [major, minor] = (version ?? '0.0').split('.').map(Number)
  if (major < OLDEST_PYTHON[0] || (major === OLDEST_PYTHON[0] && minor < OLDEST_PYTHON[1])) return false
  await locked('python', async () => {
    const stamp = join(PYTHON, '.stamp')
    const hash = hashOf([REQUIREMENTS], version)
    if (read(stamp) === hash) return
    console.log('test: installing schemathesis (once, half a minute)')
    rmSync(PYTHON, { recursive: true, force: true })
    await must('python3', ['-m', 'venv', PYTHON])
    const pip = ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', '--no-deps', '--requirement', REQUIREMENTS]
    await must(join(PYTHON, 'bin', 'python'), pip)
    writeFileSync(stamp, hash)
  })
  return true
}

export async function testOpenApi(args = []) {
  await setup()
  if (!await installSchemathesis()) {
    console.log(`test: skipping the API's document: python3 ${OLDEST_PYTHON.join('.')} or newer with venv is not here`)
    return 0
  }
  await build()
  const { client, serve } = await import('../tests/e2e/harness.mjs')
  const server = await serve()
  try {
    const api = client(server)
    for (const account of ['fuzzed', 'fuzzed-far', 'ada']) {
      const opened = await api.put(`/v1/accounts/${account}`, { plan: 'maker' })
      if (opened.status !== 201) throw new Failure(`an account could not be opened: ${JSON.stringify(opened.body)}`)
    }
    const seed = args.includes('--seed') ? [] : ['--seed', '1']
    const most = args.includes('--max-examples') ? [] : ['--max-examples', '40']
    const code = await run(SCHEMATHESIS, [
      'run', `${server.url}/openapi.json`, '--header', 'Authorization:Bearer dev-service-key', '--checks', CHECKS.join(','),
      '--exclude-path', '/v1/accounts/{account}/live', '--generation-database', 'none', '--request-timeout', '20',
      '--suppress-health-check', 'all', '--warnings', 'off', '--continue-on-failure', '--no-color', ...seed, ...most, ...args,
    ], { cwd: server.dir, env: { SCHEMATHESIS_HOOKS: 'hooks', PYTHONPATH: join(ROOT, 'tests', 'openapi'), PYTHONDONTWRITEBYTECODE: '1' } })
    if (/"level":"error"/.test(server.log)) throw new Failure(`the server had faults:\n${server.log}`)
    return code
  } finally {
    await server.stop()
  }
}

if (isMain(import.meta)) await main(() => testOpenApi(process.argv.slice(2)))
