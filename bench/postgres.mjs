// PostgreSQL, as the same charge would be made on it: a row a balance, one transaction a charge. A server of our own,
// in a folder of our own, that commits as PostgreSQL does unless told otherwise.

import { spawn, spawnSync } from 'node:child_process'
import { appendFileSync, chownSync, existsSync, readdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { Failure, ask } from '../scripts/tools.mjs'
import { child, freshFolder } from './servers.mjs'

const SCHEMA = `
CREATE TABLE balances (account int PRIMARY KEY, credits bigint NOT NULL);
CREATE TABLE history (
  id bigserial PRIMARY KEY, account int NOT NULL, at timestamptz NOT NULL DEFAULT now(), model text NOT NULL,
  lines jsonb NOT NULL, credits bigint NOT NULL, balance bigint NOT NULL);
CREATE TABLE idempotency_keys (key uuid PRIMARY KEY, request text NOT NULL, response jsonb NOT NULL);
INSERT INTO balances SELECT account, 999999999 FROM generate_series(1, 100) AS account;
`

// Spaces after the colons: pgbench takes what follows one without a space for a variable.
const LINES =
  '[{"model": "kimi-k2", "meter": "input_tokens", "quantity": 1200, "credits": 0.48}, ' +
  '{"model": "kimi-k2", "meter": "output_tokens", "quantity": 800, "credits": 0.32}]'
const REQUEST = '{"model": "kimi-k2", "usage": {"input_tokens": 1200, "output_tokens": 800}}'
const RESPONSE = `{"charge": {"credits": 1, "lines": ${LINES}}}`

/** The charge, as most would write it: the row is locked, then everything follows; the client prices. */
const CHARGE = `
BEGIN;
SELECT credits FROM balances WHERE account = 1 FOR UPDATE \\gset
UPDATE balances SET credits = :credits - 1 WHERE account = 1;
INSERT INTO history (account, model, lines, credits, balance) VALUES (1, 'kimi-k2', '${LINES}', -1, :credits - 1);
INSERT INTO idempotency_keys VALUES (gen_random_uuid(), '${REQUEST}', '${RESPONSE}');
COMMIT;
`

/** The same in a single statement, so that the row is locked for one round trip only. */
const CHARGE_IN_ONE = `
WITH paid AS (
  UPDATE balances SET credits = credits - 1 WHERE account = 1 AND credits >= 1 RETURNING credits
), written AS (
  INSERT INTO history (account, model, lines, credits, balance)
  SELECT 1, 'kimi-k2', '${LINES}'::jsonb, -1, credits FROM paid RETURNING id
)
INSERT INTO idempotency_keys SELECT gen_random_uuid(), '${REQUEST}', '${RESPONSE}'::jsonb FROM written;
`

/** Starts a PostgreSQL, or resolves to null where it is not installed. */
export async function postgres() {
  const bin = binaries()
  if (!bin) return null
  const home = freshFolder('postgres')
  const data = join(home, 'data')
  // It refuses to be run by root.
  const user = process.getuid() === 0 ? 'postgres' : null
  if (user) {
    const id = (what) => Number(ask('id', [what, user]))
    chownSync(home, id('-u'), id('-g'))
    spawnSync('chmod', ['711', dirname(home)])
  }
  const as = (command, args) => (user ? ['runuser', ['-u', user, '--', command, ...args]] : [command, args])
  const must = (command, args) => {
    const done = spawnSync(...as(command, args), { encoding: 'utf8', cwd: home })
    if (done.status !== 0) throw new Failure(`${command}: ${done.stderr}${done.error ?? ''}`)
    return done.stdout
  }

  must(join(bin, 'initdb'), ['--pgdata', data, '--username', 'bench', '--auth', 'trust', '--encoding', 'UTF8', '--locale', 'C'])
  appendFileSync(join(data, 'postgresql.conf'), [
    '', "listen_addresses = ''", `unix_socket_directories = '${home}'`, 'max_connections = 120', 'synchronous_commit = on',
    'fsync = on', '',
  ].join('\n'))
  const ready = () => must(join(bin, 'psql'), ['-h', home, '-U', 'bench', '-d', 'postgres', '-q', '-c', 'SELECT 1'])
  must(join(bin, 'pg_ctl'), ['--pgdata', data, '--wait', '--log', join(home, 'log'), 'start'])
  const stop = () => spawnSync(...as(join(bin, 'pg_ctl'), ['--pgdata', data, '--mode', 'fast', '--wait', 'stop']), { cwd: home })
  process.on('exit', stop)
  ready()
  for (const [name, text] of Object.entries({ schema: SCHEMA, charge: CHARGE, one: CHARGE_IN_ONE })) {
    writeFileSync(join(home, `${name}.sql`), text)
  }
  must(join(bin, 'psql'), ['-h', home, '-U', 'bench', '-d', 'postgres', '-q', '-f', join(home, 'schema.sql')])

  return {
    /** Charges one account for so long, and resolves to what was measured. */
    async measure({ script, connections, seconds }) {
      const [command, args] = as(join(bin, 'pgbench'), [
        '-h', home, '-U', 'bench', '-n', '-M', 'prepared', '-c', String(connections), '-j', '2',
        '-T', String(Math.max(1, Math.round(seconds))), '-f', join(home, `${script}.sql`), 'postgres',
      ])
      const run = child(command, args, { cwd: home, stdio: ['ignore', 'pipe', 'pipe'] })
      let text = ''
      for (const output of [run.stdout, run.stderr]) output.on('data', (data) => (text += data))
      await run.ended
      const rate = Number(text.match(/tps = ([\d.]+)/)?.[1])
      const errors = /number of failed transactions: 0 /.test(text) || !/failed transactions/.test(text) ? 0 : 1
      if (!rate) throw new Failure(`pgbench: ${text}`)
      return { rate, errors, error: errors ? text : null }
    },
    stop() {
      process.off('exit', stop)
      stop()
    },
  }
}

/** The folder of PostgreSQL's programs: Debian keeps those of each version in a folder of its own. */
function binaries() {
  const debian = '/usr/lib/postgresql'
  const versions = existsSync(debian) ? readdirSync(debian).sort((left, right) => Number(right) - Number(left)) : []
  const folders = [...versions.map((version) => join(debian, version, 'bin')), ...(process.env.PATH ?? '').split(':')]
  return folders.find((folder) => ['initdb', 'pg_ctl', 'pgbench', 'psql'].every((name) => existsSync(join(folder, name)))) ?? null
}
