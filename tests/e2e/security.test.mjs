// The trust boundary: who may call what, what a stranger learns, and what every answer carries. Real keys, real runtime.

import assert from 'node:assert/strict'
import { createHmac, createPublicKey, generateKeyPairSync, randomBytes, randomUUID, sign } from 'node:crypto'
import { spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { request as httpRequest } from 'node:http'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { after, before, describe, test } from 'node:test'
import { client, serve } from './harness.mjs'
import { Account, answered, costing, header, matches, opened, refused, send, unique } from './support.mjs'

const SECRET = 'a secret that both sides know'
const ADMIN = 'the-service-key-of-everything'
const now = () => Math.floor(Date.now() / 1000)
const part = (value) => Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url')

// How Node signs what each algorithm signs.
const ALGORITHMS = {
  ES256: { pair: () => generateKeyPairSync('ec', { namedCurve: 'P-256' }), sign: (data, key) => sign('sha256', data, { key, dsaEncoding: 'ieee-p1363' }) },
  EdDSA: { pair: () => generateKeyPairSync('ed25519'), sign: (data, key) => sign(null, data, key) },
  RS256: { pair: () => generateKeyPairSync('rsa', { modulusLength: 2048 }), sign: (data, key) => sign('sha256', data, key) },
  HS256: { sign: (data, key) => createHmac('sha256', key).update(data).digest() },
}
ALGORITHMS.Ed25519 = ALGORITHMS.EdDSA

/** A key pair of an algorithm, and its public half as a key set has it. */
function pairOf(alg, members = {}) {
  const { publicKey, privateKey } = ALGORITHMS[alg].pair()
  return { alg, kid: members.kid, privateKey, publicKey, jwk: { ...publicKey.export({ format: 'jwk' }), ...members } }
}

/** A token, signed as `by` signs, whatever its header says. */
function token(claims, { key = SECRET, by = 'HS256', head = {} } = {}) {
  const signed = `${part({ alg: by, typ: 'JWT', ...head })}.${part(claims)}`
  return `${signed}.${ALGORITHMS[by].sign(Buffer.from(signed), key).toString('base64url')}`
}

const tokenOf = (pair, claims, head = {}) =>
  token(claims, { key: pair.privateKey, by: pair.alg, head: pair.kid === undefined ? head : { kid: pair.kid, ...head } })

const good = (account) => ({ sub: account, exp: now() + 600 })
const read = (server, account, key, options = {}) => send(server, 'GET', `/v1/accounts/${account}`, { key, ...options })

async function refusesAll(server, account, tokens) {
  for (const [title, key] of Object.entries(tokens)) {
    const response = await read(server, account, key)
    assert.equal(response.status, 401, `${title}: ${response.text}`)
    refused(response, 401, 'unauthenticated')
  }
}

describe('a token signed with a key of USER_TOKEN_JWKS', () => {
  const keys = {
    es: pairOf('ES256', { kid: 'es-2026', alg: 'ES256', use: 'sig' }),
    ed: pairOf('EdDSA', { kid: 'ed-2026' }),
    rs: pairOf('RS256', { kid: 'rs-2026', key_ops: ['verify'] }),
    next: pairOf('ES256', { kid: 'es-2027' }),
    nameless: pairOf('ES256'),
  }
  const secretive = pairOf('ES256', { kid: 'with-its-private-half' })
  secretive.jwk = { ...secretive.privateKey.export({ format: 'jwk' }), kid: secretive.kid }
  const useless = {
    'for encryption': pairOf('RS256', { kid: 'enc', use: 'enc' }),
    'for signing only': pairOf('ES256', { kid: 'signs', key_ops: ['sign'] }),
    'for another algorithm': pairOf('RS256', { kid: 'rs512', alg: 'RS512' }),
  }
  const weak = generateKeyPairSync('rsa', { modulusLength: 1024 })
  useless['too short'] = { alg: 'RS256', kid: 'weak', ...weak, jwk: { ...weak.publicKey.export({ format: 'jwk' }), kid: 'weak' } }
  const foreign = generateKeyPairSync('ec', { namedCurve: 'P-384' }).publicKey.export({ format: 'jwk' })
  const jwks = { keys: [...Object.values(keys), secretive, ...Object.values(useless)].map(({ jwk }) => jwk) }
  jwks.keys.push({ ...foreign, kid: 'p384' }, { kty: 'oct', kid: 'oct', k: part(SECRET) }, { kty: 'AKP', kid: 'new', pub: 'AAAA' })

  let server, account
  before(async () => {
    server = await serve({ vars: { SERVICE_KEYS: ADMIN, USER_TOKEN_SECRET: SECRET, USER_TOKEN_JWKS: JSON.stringify(jwks) } })
    account = (await opened(client(server, { key: ADMIN }))).id
  })
  after(() => server?.stop())

  test('is good with every algorithm, and beside those of the secret', async () => {
    for (const pair of [...Object.values(keys), secretive]) answered(await read(server, account, tokenOf(pair, good(account))))
    answered(await read(server, account, tokenOf({ ...keys.ed, alg: 'Ed25519' }, good(account))))
    answered(await read(server, account, token(good(account))))
    answered(await read(server, account, token(good(account), { head: { kid: 'any' } })))
    for (let time = 0; time < 3; time++) answered(await read(server, account, tokenOf(keys.rs, good(account))))
  })

  test('needs the key that it names', async () => {
    const claims = good(account)
    await refusesAll(server, account, {
      'under another key of the kind': tokenOf(keys.es, claims, { kid: 'es-2027' }),
      'under an unknown id': tokenOf(keys.es, claims, { kid: 'es-2025' }),
      'without its id': token(claims, { key: keys.es.privateKey, by: 'ES256' }),
      'with an id for a key without one': tokenOf(keys.nameless, claims, { kid: '' }),
      'with an id that is no string': tokenOf(keys.es, claims, { kid: 7 }),
      'by a stranger': tokenOf({ ...pairOf('ES256'), kid: 'es-2026' }, claims),
      'by a stranger that brings a key': tokenOf(pairOf('ES256', { kid: 'es-2026' }), claims, { jwk: keys.es.jwk, jku: 'https://evil.example/keys' }),
    })
  })

  test('has the algorithm of its key, and no other', async () => {
    const claims = good(account)
    const swapped = (pair, key) => token(claims, { key, head: { kid: pair.kid } })
    const der = (pair) => createPublicKey(pair.privateKey).export({ type: 'spki', format: 'der' })
    const pem = (pair) => createPublicKey(pair.privateKey).export({ type: 'spki', format: 'pem' })
    const unsigned = (alg) => `${part({ alg, kid: 'es-2026' })}.${part(claims)}.`
    await refusesAll(server, account, {
      'HS256 with the PEM of an RSA key': swapped(keys.rs, pem(keys.rs)),
      'HS256 with the DER of an RSA key': swapped(keys.rs, der(keys.rs)),
      'HS256 with the modulus of an RSA key': swapped(keys.rs, keys.rs.jwk.n),
      'HS256 with the whole key': swapped(keys.es, JSON.stringify(keys.es.jwk)),
      'HS256 with the key set': swapped(keys.es, JSON.stringify(jwks)),
      'HS256 with nothing': swapped(keys.es, ''),
      'RS256 under an EC key': tokenOf(keys.rs, claims, { kid: 'es-2026' }),
      'ES256 said, RS256 done': tokenOf(keys.rs, claims, { alg: 'ES256' }),
      'RS256 said, ES256 done': tokenOf(keys.es, claims, { alg: 'RS256' }),
      'EdDSA said, ES256 done': tokenOf(keys.es, claims, { alg: 'EdDSA' }),
      'HS256 said, ES256 done': tokenOf(keys.es, claims, { alg: 'HS256' }),
      'PS256 said': tokenOf(keys.rs, claims, { alg: 'PS256' }),
      'RS512 said': tokenOf(keys.rs, claims, { alg: 'RS512' }),
      'no algorithm': tokenOf(keys.es, claims, { alg: undefined }),
      'a list of algorithms': tokenOf(keys.es, claims, { alg: ['ES256'] }),
      none: unsigned('none'), None: unsigned('None'), NONE: unsigned('NONE'), 'ES256, empty': unsigned('ES256'),
    })
  })

  test('needs a key that is for such tokens', async () => {
    const claims = good(account)
    await refusesAll(server, account, Object.fromEntries(Object.entries(useless).map(([title, pair]) => [title, tokenOf(pair, claims)])))
    await refusesAll(server, account, { 'the secret as a key of the set': token(claims, { head: { kid: 'oct', alg: 'ES256' } }) })
  })

  test('is one only in its one spelling', async () => {
    const claims = good(account)
    const [head, payload, signature] = tokenOf(keys.es, claims).split('.')
    const derSigned = sign('sha256', Buffer.from(`${head}.${payload}`), keys.es.privateKey).toString('base64url')
    // 64 bytes end with a character of which two bits count: its neighbour has the same two.
    const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
    const neighbour = signature.slice(0, -1) + alphabet[alphabet.indexOf(signature.at(-1)) + 1]
    const twice = part(`{"sub":"someone","sub":${JSON.stringify(account)},"exp":${claims.exp}}`)
    const resigned = `${head}.${twice}.${ALGORITHMS.ES256.sign(Buffer.from(`${head}.${twice}`), keys.es.privateKey).toString('base64url')}`
    answered(await read(server, account, `${head}.${payload}.${signature}`))
    await refusesAll(server, account, {
      'a signature in DER': `${head}.${payload}.${derSigned}`,
      'a signature of zeros': `${head}.${payload}.${Buffer.alloc(64).toString('base64url')}`,
      'a signature that is too short': `${head}.${payload}.${signature.slice(0, 40)}`,
      'a signature that is too long': `${head}.${payload}.${signature}AAAA`,
      'a signature with stray bits': `${head}.${payload}.${neighbour}`,
      'a signature with padding': `${head}.${payload}.${signature}==`,
      'other claims': `${head}.${part({ ...claims, sub: 'someone' })}.${signature}`,
      'a subject twice': resigned,
      'a critical extension': tokenOf(keys.es, claims, { crit: ['exp'], exp: 1 }),
      'an unencoded payload': tokenOf(keys.es, claims, { crit: ['b64'], b64: false }),
      'an encrypted token': `${head}.${payload}.${signature}.${payload}.${signature}`,
      'two parts': `${head}.${payload}`, 'dots alone': '..', 'one dot': '.', 'no token': 'x',
      'more than fits': tokenOf(keys.es, { ...claims, more: 'x'.repeat(9000) }),
      'a header that is a list': `${part([])}.${payload}.${signature}`,
      'broken UTF-8': `${Buffer.from([0xff, 0xfe]).toString('base64url')}.${payload}.${signature}`,
      'deep claims': tokenOf(keys.es, `{"sub":"${account}","exp":${claims.exp},"x":${'['.repeat(2000)}${']'.repeat(2000)}}`),
    })
    const garbage = Object.fromEntries(Array.from({ length: 50 }, (_, index) =>
      [`garbage ${index}`, Array.from({ length: 3 }, () => randomBytes(1 + index).toString('base64url')).join('.')]))
    await refusesAll(server, account, garbage)
  })

  test('needs claims of the right types', async () => {
    const { exp } = good(account)
    const claims = {
      'no sub': { exp }, 'sub a number': { sub: 7, exp }, 'sub null': { sub: null, exp }, 'sub a list': { sub: [account], exp },
      'no exp': { sub: account }, 'exp a string': { sub: account, exp: `${exp}` }, 'exp null': { sub: account, exp: null },
      'exp true': { sub: account, exp: true }, 'exp far in the past': { sub: account, exp: -1e300 }, 'nbf a string': { sub: account, exp, nbf: '0' },
    }
    await refusesAll(server, account, Object.fromEntries(Object.entries(claims).map(([title, claims]) => [title, tokenOf(keys.ed, claims)])))
    await refusesAll(server, account, { 'claims that are a list': tokenOf(keys.ed, [good(account)]), 'exp without end': tokenOf(keys.ed, `{"sub":"${account}","exp":1e400}`) })
    answered(await read(server, account, tokenOf(keys.ed, { sub: account, exp: exp + 0.5, nbf: 1.5, iat: 'whenever', iss: 'anyone', aud: ['anyone'], name: { of: ['any'] } })))
    answered(await read(server, account, tokenOf(keys.ed, { sub: account, exp: 1e300 })))
  })

  test('may be half a minute off, and not a whole one', async () => {
    for (const pair of [keys.es, keys.ed, keys.rs]) {
      answered(await read(server, account, tokenOf(pair, { sub: account, exp: now() - 15 })))
      answered(await read(server, account, tokenOf(pair, { ...good(account), nbf: now() + 15 })))
      await refusesAll(server, account, {
        expired: tokenOf(pair, { sub: account, exp: now() - 31 }),
        early: tokenOf(pair, { ...good(account), nbf: now() + 45 }),
      })
    }
  })

  test('is judged by the real clock, whatever the test clock says', async () => {
    const expired = tokenOf(keys.es, { sub: account, exp: now() - 3600 })
    const back = new Date((now() - 7200) * 1000).toISOString()
    refused(await read(server, account, expired, { headers: { 'Test-Clock': back } }), 401, 'unauthenticated')
  })

  test('is no longer good once its key has left the set', async () => {
    const rotated = await serve({ vars: { SERVICE_KEYS: ADMIN, USER_TOKEN_SECRET: null, USER_TOKEN_JWKS: JSON.stringify({ keys: [keys.next.jwk] }) } })
    try {
      const account = (await opened(client(rotated, { key: ADMIN }))).id
      answered(await read(rotated, account, tokenOf(keys.next, good(account))))
      await refusesAll(rotated, account, {
        'by the key before': tokenOf(keys.es, good(account)),
        'by a secret that is not there': token(good(account)),
        'by no secret': token(good(account), { key: '' }),
      })
    } finally {
      await rotated.stop()
    }
  })

  test('is for this issuer and this audience, where they are set', async () => {
    const vars = { SERVICE_KEYS: ADMIN, USER_TOKEN_SECRET: SECRET, USER_TOKEN_ISSUER: 'https://id.example', USER_TOKEN_AUDIENCE: 'credits' }
    const server = await serve({ vars })
    try {
      const account = (await opened(client(server, { key: ADMIN }))).id
      const claims = { ...good(account), iss: 'https://id.example', aud: 'credits' }
      answered(await read(server, account, token(claims)))
      answered(await read(server, account, token({ ...claims, aud: ['mail', 'credits'] })))
      await refusesAll(server, account, {
        'of another issuer': token({ ...claims, iss: 'https://id.example.evil' }), 'of no issuer': token({ ...claims, iss: undefined }),
        'of a list of issuers': token({ ...claims, iss: ['https://id.example'] }),
        'for another audience': token({ ...claims, aud: 'mail' }), 'for others': token({ ...claims, aud: ['mail', 'Credits'] }),
        'for nobody': token({ ...claims, aud: undefined }), 'for an empty list': token({ ...claims, aud: [] }),
        'for an object': token({ ...claims, aud: { credits: true } }), 'for a list in a list': token({ ...claims, aud: [['credits']] }),
      })
    } finally {
      await server.stop()
    }
  })

  test('is told as a fault of ours where the set is broken, which the log explains without showing it', async () => {
    const broken = { keys: [{ kty: 'EC', crv: 'P-256', kid: 'off-the-curve', x: part('x'.repeat(32)), y: part('y'.repeat(32)) }] }
    for (const set of ['{"keys": [hush', '[]', JSON.stringify(broken)]) {
      const server = await serve({ vars: { SERVICE_KEYS: ADMIN, USER_TOKEN_SECRET: SECRET, USER_TOKEN_JWKS: set } })
      try {
        const account = (await opened(client(server, { key: ADMIN }))).id
        answered(await read(server, account, token(good(account))))
        const refusal = await read(server, account, tokenOf({ ...keys.es, kid: 'off-the-curve' }, good(account)))
        const { request_id } = refused(refusal, 500, 'internal')
        assert.ok(!refusal.text.includes('JWKS'), refusal.text)
        const line = logged(server).find((line) => line.request_id === request_id)
        matches(line, { level: 'error', event: 'fault' })
        assert.match(line.detail, /USER_TOKEN_JWKS/)
        assert.ok(!server.log.includes('hush'))
      } finally {
        await server.stop()
      }
    }
  })
})

/** The lines of the log that are JSON. */
const logged = (server) => server.log.split('\n').flatMap((line) => {
  try {
    return [JSON.parse(line.slice(line.indexOf('{')))]
  } catch {
    return []
  }
})

describe('with a few service keys', () => {
  const vars = {
    SERVICE_KEYS: `${ADMIN}, ops:admin:ops-secret,meter:charge:meter-secret,board:read:board:secret,typo:owner:typo-secret,:admin:nameless,empty:admin:`,
    USER_TOKEN_SECRET: SECRET,
    ALLOWED_ORIGINS: 'https://app.example, https://other.example',
  }
  let server, api
  before(async () => {
    server = await serve({ vars })
    api = client(server, { key: ADMIN })
  })
  after(() => server?.stop())

  const as = (key, account) => new Account(client(server, { key }), account.id)

  describe('a service key', () => {
    const reads = ['', '/balance', '/holds', '/entries', '/usage?group_by=model', '/entitlements', '/grants']

    test('without a role, or an administrator\'s, may do everything', async () => {
      for (const key of [ADMIN, 'ops-secret']) {
        const account = await opened(client(server, { key }))
        await account.grant({ kind: 'bonus', credits: 10 })
        await account.plan('maker')
        await account.charge(costing(1))
        for (const rest of reads) await account.read(rest)
      }
    })

    test('for reading reads and estimates', async () => {
      const account = await opened(api)
      const { hold } = await account.hold(costing(5))
      const reader = as('board:secret', account)
      for (const rest of [...reads, `/holds/${hold.id}`]) await reader.read(rest)
      answered(await reader.post('/estimate', costing(5), { idempotencyKey: null }))
      const refusals = [reader.post('/holds', costing(1)), reader.post(`/holds/${hold.id}/capture`, costing(1)), reader.post(`/holds/${hold.id}/release`),
        reader.post(`/holds/${hold.id}/extend`, { ttl_seconds: 60 }), reader.post('/charges', costing(1)), reader.post('/entitlements/file_uploads/use', { quantity: 1 }),
        reader.put('', { plan: 'free' }), reader.patch({ display_name: 'Ada' }), reader.put('/plan', { plan: 'maker' }), reader.post('/grants', { kind: 'bonus', credits: 1 })]
      for (const refusal of refusals) assert.match(refused(await refusal, 403, 'forbidden').detail, /`board`.*`read`/)
    })

    test('for charging charges, and grants nothing', async () => {
      const account = await opened(api)
      const meter = as('meter-secret', account)
      for (const rest of reads) await meter.read(rest)
      const { hold } = await meter.hold(costing(5))
      answered(await meter.post(`/holds/${hold.id}/extend`, { ttl_seconds: 60 }))
      await meter.capture(hold.id, costing(4))
      await meter.release((await meter.hold(costing(5))).hold.id)
      const { charge } = await meter.charge(costing(1))
      answered(await meter.post('/entitlements/file_uploads/use', { quantity: 1 }))
      answered(await meter.post('/entitlements/file_uploads/return', { quantity: 1 }))
      const refusals = [meter.put('', { plan: 'free' }), meter.patch({ display_name: 'Ada' }), meter.put('/plan', { plan: 'maker' }), meter.put('/perks/early_bird'),
        meter.delete('/perks/early_bird'), meter.post('/grants', { kind: 'bonus', credits: 1 }), meter.post('/grants/g/void'), meter.post(`/charges/${charge.id}/refund`)]
      for (const refusal of refusals) refused(await refusal, 403, 'forbidden')
      matches(await account.balance(), { available: 95, held: 0 })
    })

    test('is its secret, and nothing near it', async () => {
      const account = await opened(api)
      const near = [ADMIN.slice(0, -1), `${ADMIN}x`, ADMIN.toUpperCase(), vars.SERVICE_KEYS, `${ADMIN},ops-secret`, 'meter:charge:meter-secret', 'meter', 'charge', 'board', 'secret',
        'typo-secret', 'typo:owner:typo-secret', 'nameless', ':admin:nameless', 'empty:admin:', ',', ':']
      for (const key of near) refused(await read(server, account.id, key), 401, 'unauthenticated')
      for (const authorization of ['', 'Bearer', 'Bearer ', `Basic ${Buffer.from(`:${ADMIN}`).toString('base64')}`, ADMIN, `Token ${ADMIN}`, `Bearer ${ADMIN}, Bearer x`, `Bearer\t${ADMIN}`]) {
        refused(await send(server, 'GET', account.path(), { headers: { Authorization: authorization } }), 401, 'unauthenticated')
      }
      for (const scheme of ['bearer', 'BEARER']) answered(await send(server, 'GET', account.path(), { headers: { Authorization: `${scheme} ${ADMIN}` } }))
      for (const query of ['access_token', 'token', 'key']) refused(await send(server, 'GET', `${account.path()}?${query}=${ADMIN}`), 401, 'unauthenticated')
    })

    test('that is written wrongly is left out, and the log does not tell it', async () => {
      await send(server, 'GET', '/v1/accounts/nobody', { key: 'x' })
      assert.ok(logged(server).some(({ event, detail }) => event === 'fault' && /SERVICE_KEYS/.test(detail)), server.log)
      assert.ok(!/typo-secret|nameless/.test(server.log))
    })

    test('that is not there opens nothing', async () => {
      for (const keys of [null, '', ' , ']) {
        const closed = await serve({ vars: { ...vars, SERVICE_KEYS: keys } })
        try {
          for (const key of [ADMIN, '', 'undefined', 'null']) refused(await send(closed, 'GET', '/v1/accounts/a', { headers: { Authorization: `Bearer ${key}` } }), 401)
        } finally {
          await closed.stop()
        }
      }
    })
  })

  describe('a stranger', () => {
    test('learns nothing of which accounts there are', async () => {
      const [account, nobody] = [(await opened(api)).id, unique()]
      const alike = async (options) => {
        const [there, not] = [await read(server, account, undefined, options), await read(server, nobody, undefined, options)]
        assert.equal(there.status, not.status)
        assert.deepEqual({ ...there.body, request_id: null }, { ...not.body, request_id: null })
        return there.status
      }
      assert.equal(await alike({}), 401)
      assert.equal(await alike({ headers: { Authorization: 'Bearer x' } }), 401)
      assert.equal(await alike({ headers: { Authorization: `Bearer ${token(good(unique()))}` } }), 403)
    })

    test('reaches no other account by the spelling of a path', async () => {
      const [mine, theirs] = [await opened(api), await opened(api)]
      const key = token(good(mine.id))
      const paths = [`${mine.id}/../${theirs.id}`, `${mine.id}%2f..%2f${theirs.id}`, `${mine.id}/%2e%2e/${theirs.id}`, `${mine.id}/%252e%252e/${theirs.id}`, `${mine.id}\\..\\${theirs.id}`,
        `${theirs.id}%00`, `${theirs.id}%20`, `%20${theirs.id}`, `${theirs.id}%0a`, `${theirs.id};${mine.id}`, `${theirs.id}?account=${mine.id}`, `${theirs.id}#${mine.id}`,
        `${mine.id},${theirs.id}`, `${theirs.id}%ff`, `${theirs.id}%`, theirs.id.toUpperCase(), `./${theirs.id}`, `/${theirs.id}`, `${theirs.id}/`]
      for (const path of paths) {
        for (const rest of ['', '/balance']) {
          // As it stands: fetch would tidy the path up.
          const response = await raw(server, { path: `/v1/accounts/${path}${rest}`, headers: { Authorization: `Bearer ${key}` } })
          assert.ok([400, 401, 403, 404].includes(response.status), `${path}${rest}: ${response.status} ${response.text}`)
          assert.ok(!response.text.includes('available'), `${path}${rest}: ${response.text}`)
        }
      }
      answered(await read(server, encodeURIComponent(mine.id), key))
      answered(await read(server, mine.id.replace(/a/g, '%61'), key))
    })

    test('is not let in by an id that is none', async () => {
      const ids = ['%2e', '%2e%2e', '..%2f', 'a%2fb', 'a%20b', 'a%00', '%c3%a9', 'a'.repeat(129), '%ff', 'a%25', 'a%2525', '%3cscript%3e', 'a%0d%0aX-Evil:%201', '__proto__%2f', "a'--", 'a%22']
      for (const id of ids) {
        const response = await raw(server, { path: `/v1/accounts/${id}/balance`, headers: { Authorization: `Bearer ${ADMIN}` } })
        assert.ok(response.status === 400 || response.status === 404, `${id}: ${response.status}`)
        assert.equal(response.headers['x-evil'], undefined)
      }
      for (const id of ['__proto__', 'constructor', 'toString', 'a:b@c.d-e_f', 'a'.repeat(128)]) refused(await read(server, id, ADMIN), 404, 'account_not_found')
    })

    test('is not let in by a subject that is no account id', async () => {
      for (const id of ['..', '.', '', 'a/b', 'a b', '*', 'a'.repeat(129)]) {
        const response = await read(server, encodeURIComponent(id), token(good(id)))
        assert.ok([400, 403, 404].includes(response.status), `${id}: ${response.status}`)
      }
    })
  })

  describe('the user of an account', () => {
    test('changes the display name, and neither more nor less', async () => {
      const account = await opened(api)
      const user = as(token(good(account.id)), account)
      answered(await user.patch({ display_name: 'Ada' }))
      answered(await user.patch({ display_name: null }))
      for (const body of [{ time_zone: 'Asia/Tokyo' }, { time_zone: null }, { display_name: 'Eve', time_zone: 'UTC' }, { time_zone: 7, display_name: 'Eve' }]) {
        refused(await user.patch(body), 403, 'forbidden')
      }
      refused(await user.patch({ plan: 'maker' }), 400, 'invalid_request')
      refused(await user.patch({ Time_zone: 'Asia/Tokyo' }), 400, 'invalid_request')
      refused(await user.patch(['time_zone']), 400, 'invalid_request')
      const spelled = (raw) => send(server, 'PATCH', account.path(), { body: raw, key: token(good(account.id)) })
      refused(await spelled('{"time_z\\u006fne":"Asia/Tokyo"}'), 403, 'forbidden')
      refused(await spelled('{"display_name":"Eve","display_name":"Eve"}'), 400, 'invalid_json')
      refused(await spelled('{"display_name":'), 400, 'invalid_json')
      refused(await spelled(`{"display_name":"${'x'.repeat(70_000)}"}`), 413)
      refused(await send(server, 'PATCH', account.path(), { body: '{"display_name":"Eve"}', type: 'text/plain', key: token(good(account.id)) }), 415)
      matches(await account.read(), { time_zone: 'UTC' })
      answered(await account.patch({ time_zone: 'Asia/Tokyo' }))
    })

    test('gains nothing by headers that look important', async () => {
      const account = await opened(api)
      const headers = { Authorization: `Bearer ${token(good(account.id))}`, 'X-Role': 'admin', 'X-Caller': 'service', 'X-Forwarded-For': '127.0.0.1', 'X-HTTP-Method-Override': 'GET',
        'X-Original-URL': '/health', 'X-User': account.id, Cookie: `token=${ADMIN}`, 'Cf-Worker': 'edge-credits', 'Sec-WebSocket-Protocol': `bearer.${ADMIN}` }
      const body = JSON.stringify({ kind: 'bonus', credits: 5 })
      refused(await send(server, 'POST', account.path('/grants'), { body, headers: { ...headers, 'Idempotency-Key': 'k' } }), 403, 'forbidden')
    })
  })

  describe('a WebSocket', () => {
    const upgrade = (account, protocols, headers = {}) => raw(server, {
      path: `/v1/accounts/${account.id}/balance`,
      headers: { Connection: 'Upgrade', Upgrade: 'websocket', 'Sec-WebSocket-Version': '13', 'Sec-WebSocket-Key': randomBytes(16).toString('base64'), ...(protocols === null ? {} : { 'Sec-WebSocket-Protocol': protocols }), ...headers },
    })

    test('carries its credential as a subprotocol', async () => {
      const account = await opened(api)
      const mine = token(good(account.id))
      for (const protocols of [`bearer.${mine}`, `edge-credits, bearer.${mine}`, `bearer.${mine},edge-credits`]) assert.equal((await upgrade(account, protocols)).status, 200)
      assert.equal((await upgrade(account, `bearer.${token(good(unique()))}`)).status, 403)
      for (const protocols of [null, mine, `bearer.${mine}x`, 'bearer.', `Bearer.${mine}`, `bearer ${mine}`]) assert.equal((await upgrade(account, protocols)).status, 401, protocols)
      assert.equal((await upgrade(account, `bearer.${mine}`, { Authorization: 'Bearer x' })).status, 401, 'what is said in the header counts')
    })

    test('is asked for by it, or the subprotocol is none', async () => {
      const account = await opened(api)
      refused(await read(server, account.id, undefined, { headers: { 'Sec-WebSocket-Protocol': `bearer.${token(good(account.id))}` } }), 401, 'unauthenticated')
    })
  })

  describe('a body', () => {
    const stream = (bytes, options) => raw(server, {
      method: 'POST', path: '/v1/estimate', headers: { 'Content-Type': 'application/json', 'Transfer-Encoding': 'chunked' }, body: Buffer.alloc(bytes, ' '), ...options,
    })

    test('without a stated length is read as far as it may go, and no further', async () => {
      refused(await stream(64 * 1024), 400, 'invalid_json')
      refused(await stream(64 * 1024 + 1), 413, 'body_too_large')
      refused(await stream(64 * 1024 + 1, { ends: false }), 413, 'body_too_large')
      const said = await send(server, 'POST', '/v1/estimate', { body: new Blob([JSON.stringify({ model: 'kimi-k2', usage: { input_tokens: 2500 } })]).stream() })
      assert.equal(answered(said).credits, 1)
    })

    test('nested without end is refused', async () => {
      for (const depth of [17, 500, 30_000]) {
        const body = `{"model":"kimi-k2","usage":${'['.repeat(depth)}${']'.repeat(depth)}}`
        refused(await send(server, 'POST', '/v1/estimate', { body }), 400)
        const maps = `${'{"a":'.repeat(Math.min(depth, 10_000))}1${'}'.repeat(Math.min(depth, 10_000))}`
        refused(await send(server, 'POST', '/v1/estimate', { body: maps }), 400)
      }
    })

    test('with names that mean something in JavaScript means nothing here', async () => {
      for (const name of ['__proto__', 'constructor', 'toJSON', 'length']) {
        refused(await send(server, 'POST', '/v1/estimate', { body: `{"model":"kimi-k2","usage":{},"${name}":{"admin":true}}` }), 400, 'invalid_request')
      }
    })
  })

  describe('every answer', () => {
    const ALWAYS = {
      'x-content-type-options': 'nosniff',
      'referrer-policy': 'no-referrer',
      'strict-transport-security': /^max-age=\d{8,}/,
      'cache-control': 'no-store',
      'x-request-id': /^[\w-]{8,64}$/,
    }
    const carries = (response, told) => {
      for (const [name, value] of Object.entries(ALWAYS)) {
        const found = header(response, name)
        if (name === 'cache-control' && told.includes('catalog')) assert.equal(found, 'public, max-age=60', told)
        else assert.ok(value instanceof RegExp ? value.test(found ?? '') : found === value, `${told}: ${name} is ${found}`)
      }
      assert.equal(header(response, 'set-cookie'), null)
      if (response.body?.code) assert.equal(response.body.request_id, header(response, 'x-request-id'), told)
    }

    test('has the headers that keep it what it is, and an id', async () => {
      const account = await opened(api)
      const tag = header(await send(server, 'GET', '/v1/catalog'), 'etag')
      const charge = () => send(server, 'POST', account.path('/charges'), { key: ADMIN, body: JSON.stringify(costing(1)), headers: { 'Idempotency-Key': 'once' } })
      const user = token(good(account.id))
      const answers = {
        health: [200, send(server, 'GET', '/health')],
        catalog: [200, send(server, 'GET', '/v1/catalog')],
        'catalog again': [304, send(server, 'GET', '/v1/catalog', { headers: { 'If-None-Match': tag } })],
        'an estimate': [200, send(server, 'POST', '/v1/estimate', { body: JSON.stringify(costing(1)) })],
        'an account': [200, read(server, account.id, ADMIN)],
        'a charge': [201, charge()],
        'an account for its user': [200, read(server, account.id, user)],
        'a name': [200, send(server, 'PATCH', account.path(), { key: user, body: '{"display_name":"Ada"}' })],
        'not enough': [402, send(server, 'POST', account.path('/charges'), { key: ADMIN, body: JSON.stringify(costing(5000)), headers: { 'Idempotency-Key': 'more' } })],
        'no such hold': [404, read(server, `${account.id}/holds/h`, ADMIN)],
        'nothing there': [404, send(server, 'GET', '/')],
        'no such method': [405, send(server, 'DELETE', '/v1/estimate')],
        'bad JSON': [400, send(server, 'POST', '/v1/estimate', { body: '{' })],
        'too large': [413, send(server, 'POST', '/v1/estimate', { body: ' '.repeat(70_000) })],
        'no credentials': [401, read(server, account.id)],
        'bad credentials': [401, read(server, account.id, 'x')],
        forbidden: [403, read(server, account.id, token(good('someone')))],
        'a preflight': [204, send(server, 'OPTIONS', '/v1/estimate', { headers: { Origin: 'https://app.example', 'Access-Control-Request-Method': 'POST' } })],
        'an account in a page': [200, read(server, account.id, ADMIN, { headers: { Origin: 'https://app.example' } })],
        'a refusal in a page': [404, read(server, unique(), ADMIN, { headers: { Origin: 'https://app.example' } })],
      }
      const ids = new Set()
      for (const [title, [status, pending]] of Object.entries(answers)) {
        const response = await pending
        assert.equal(response.status, status, `${title}: ${response.text}`)
        carries(response, title)
        ids.add(header(response, 'x-request-id'))
      }
      assert.equal(ids.size, Object.keys(answers).length, 'every request has an id of its own')
      const again = await charge()
      assert.equal(header(again, 'idempotent-replayed'), 'true')
      carries(again, 'a charge again')
    })

    test('has the id that the edge gave its request', async () => {
      for (const path of ['/health', '/v1/nothing', '/v1/accounts/nobody']) {
        assert.equal(header(await send(server, 'GET', path, { key: ADMIN, headers: { 'CF-Ray': '8f2c1d3e4a5b6c7d-FRA' } }), 'x-request-id'), '8f2c1d3e4a5b6c7d-FRA')
      }
      for (const ray of ['x'.repeat(65), '"}{"level":"fatal"', 'a b', 'a,b', '<b>', '']) {
        assert.match(header(await send(server, 'GET', '/v1/nothing', { headers: { 'CF-Ray': ray } }), 'x-request-id'), /^[0-9a-f]{8}-[0-9a-f-]{27}$/)
      }
    })
  })

  describe('the log', () => {
    test('has a line for bad credentials, without them, and none for what is as it should be', async () => {
      const account = await opened(api)
      const secretive = token({ ...good(account.id), exp: 1 })
      const { request_id } = refused(await read(server, account.id, secretive), 401)
      const lines = logged(server).filter((line) => line.request_id === request_id)
      assert.deepEqual(lines, [{ level: 'warn', event: 'unauthenticated', request_id, detail: 'the token has expired' }])
      const quiet = [await read(server, account.id, ADMIN), await read(server, account.id), await read(server, unique(), ADMIN), await send(server, 'GET', '/health')]
      for (const response of quiet) assert.ok(!server.log.includes(header(response, 'x-request-id')), response.text)
      for (const part of [...secretive.split('.'), account.id, ADMIN, SECRET]) assert.ok(!server.log.includes(part), part)
    })

    test('cannot be written by a caller', async () => {
      await read(server, 'nobody', 'x\u0085{"level":"fatal"}'.replace(/[^\x20-\x7e]/g, ''))
      await read(server, 'nobody', token({ sub: '\n{"level":"fatal"}\n', exp: 1 }))
      assert.ok(!server.log.includes('fatal'))
    })
  })

  describe('a page of another origin', () => {
    const preflight = (origin, path = '/v1/accounts/a/balance') => send(server, 'OPTIONS', path, {
      headers: { ...(origin === null ? {} : { Origin: origin }), 'Access-Control-Request-Method': 'GET', 'Access-Control-Request-Headers': 'authorization' },
    })
    const allowances = (response) => [...response.headers.keys()].filter((name) => name.startsWith('access-control-'))

    test('may call where it is allowed, and reads what it needs', async () => {
      const account = await opened(api)
      for (const origin of ['https://app.example', 'https://other.example']) {
        const answer = await preflight(origin)
        assert.equal(answer.status, 204)
        assert.equal(header(answer, 'access-control-allow-origin'), origin)
        for (const method of ['GET', 'POST', 'PUT', 'PATCH', 'DELETE']) assert.ok(header(answer, 'access-control-allow-methods').split(', ').includes(method))
        assert.match(header(answer, 'access-control-allow-headers'), /authorization/i)
        const response = await read(server, account.id, ADMIN, { headers: { Origin: origin } })
        assert.equal(header(response, 'access-control-allow-origin'), origin)
        assert.match(header(response, 'access-control-expose-headers'), /x-request-id/i)
        assert.match(header(response, 'vary'), /origin/i)
      }
    })

    test('may not where it is not', async () => {
      for (const origin of ['https://evil.example', 'https://app.example.evil', 'https://evil.example/https://app.example', 'http://app.example', 'https://app.example:8443', 'null', '*', '', null, 'https://APP.example']) {
        const answer = await preflight(origin)
        assert.equal(answer.status, 204)
        assert.deepEqual(allowances(answer), [], `${origin}`)
        assert.deepEqual(allowances(await read(server, unique(), ADMIN, { headers: origin === null ? {} : { Origin: origin } })), [], `${origin}`)
      }
    })

    test('never sends what the browser knows by itself', async () => {
      assert.equal(header(await preflight('https://app.example'), 'access-control-allow-credentials'), null)
    })

    test('gets from a cache what was made for its origin', async () => {
      assert.match(header(await send(server, 'GET', '/v1/catalog'), 'vary') ?? '', /origin/i)
    })
  })
})

describe('a rate limit', () => {
  const ROOT = fileURLToPath(new URL('../../', import.meta.url))
  const LIMIT = 5
  const folder = mkdtempSync(join(tmpdir(), 'edge-credits-limits-'))
  let wrangler, server

  // The limits are bindings of the platform: wrangler brings its own, and the configuration is ours with lower figures.
  before(async () => {
    const config = readFileSync(join(ROOT, 'wrangler.toml'), 'utf8')
    const lower = config
      .replace(/^main = .*$/m, `main = ${JSON.stringify(join(ROOT, 'build', 'index.js'))}`)
      .replace(/^(command|watch_dir) = .*$/gm, '')
      .replace(/limit = \d+, period = 10/g, `limit = ${LIMIT}, period = 60`)
    assert.equal(lower.match(new RegExp(`limit = ${LIMIT}, period = 60`, 'g'))?.length, 2)
    writeFileSync(join(folder, 'wrangler.toml'), lower)
    writeFileSync(join(folder, '.dev.vars'), `SERVICE_KEYS=${ADMIN}\nUSER_TOKEN_SECRET=${SECRET}\n`)
    const port = await freePort()
    const quiet = { WRANGLER_SEND_METRICS: 'false', WRANGLER_SEND_ERROR_REPORTS: 'false', WRANGLER_HIDE_BANNER: 'true', WRANGLER_NO_SKILLS_UPDATE_PROMPTS: 'true', CLOUDFLARE_CF_FETCH_ENABLED: 'false', X_LOCAL_OBSERVABILITY: 'false', X_LOCAL_EXPLORER: 'false' }
    const bin = join(ROOT, 'node_modules', '.bin')
    wrangler = spawn(join(bin, 'node'), [join(bin, 'wrangler'), 'dev', '--port', `${port}`, '--inspector-port', '0', '--persist-to', join(folder, 'state'), '--show-interactive-dev-session=false'], {
      cwd: folder, stdio: 'ignore', detached: true, env: { ...process.env, ...quiet },
    })
    server = { url: `http://127.0.0.1:${port}` }
    for (let tries = 0; tries < 300; tries++) {
      if ((await fetch(`${server.url}/health`).catch(() => null))?.ok) return
      await sleep(200)
    }
    throw new Error('wrangler did not start')
  })
  after(() => {
    try {
      process.kill(-wrangler.pid, 'SIGKILL')
    } catch {}
    rmSync(folder, { recursive: true, force: true })
  })

  /** What so many calls in a row are answered. A new minute begins the count afresh, so they must be in one. */
  const inOneMinute = async (call) => {
    const left = 60_000 - (Date.now() % 60_000)
    if (left < 15_000) await sleep(left + 100)
    const answers = []
    for (let time = 0; time < LIMIT + 2; time++) answers.push(await call())
    return answers
  }
  const limited = (answers, status) => {
    assert.deepEqual(answers.map((answer) => answer.status), [...Array(LIMIT).fill(status), 429, 429])
    refused(answers.at(-1), 429, 'rate_limited')
    assert.match(header(answers.at(-1), 'retry-after'), /^\d+$/)
    assert.match(header(answers.at(-1), 'x-request-id'), /./)
  }

  test('counts the calls on an account, and those of its user apart', async () => {
    const [account, other] = [unique(), unique()]
    limited(await inOneMinute(() => read(server, account, ADMIN)), 404)
    assert.equal((await read(server, other, ADMIN)).status, 404, 'another account is not touched')
    limited(await inOneMinute(() => read(server, account, token(good(account)))), 404)
  })

  test('counts what an address asks without credentials, or tries as some', async () => {
    limited(await inOneMinute(() => read(server, unique(), 'guess', { headers: { 'CF-Connecting-IP': '192.0.2.1' } })), 401)
    assert.equal((await send(server, 'GET', '/health')).status, 200, 'health is always told')
  })
})

const freePort = () => new Promise((resolve) => {
  const socket = createServer().listen(0, '127.0.0.1', () => {
    const { port } = socket.address()
    socket.close(() => resolve(port))
  })
})

/** A request as it stands, with a path that nobody tidies up. */
function raw(server, { method = 'GET', path, headers = {}, body, ends = true }) {
  const { hostname, port } = new URL(server.url)
  return new Promise((resolve, reject) => {
    const request = httpRequest({ hostname, port, method, path, headers, agent: false })
    request.on('error', reject)
    request.on('response', async (response) => {
      let text = ''
      for await (const data of response) text += data
      request.destroy()
      const isJson = (response.headers['content-type'] ?? '').includes('json')
      resolve({ status: response.statusCode, headers: response.headers, text, body: isJson ? JSON.parse(text) : null })
    })
    if (body) request.write(body)
    if (ends) request.end()
  })
}
