// Power cuts: callers are at work on several accounts, the runtime is killed (SIGKILL) at a random moment and started
// again on the same disk, and then everything must be as it was promised:
//
// - what was answered is there, and a retry with its key gets the same answer and does nothing;
// - what was not answered, once retried, is there exactly once;
// - nothing else is there, no answer is a 5xx, and every account obeys the laws.
//
//     npm run test:crash -- [kills] [seed]
//
// The seed decides what is asked and after how many answers the power is cut. Which request a kill hits is up to the machine.

import assert from 'node:assert/strict'
import { realpathSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { client, serve } from '../e2e/harness.mjs'
import { Account, SERVICE_KEY, answered, costing, figures, header, lawfulBalance, lawfulCharge, lawfulJournal, matches, sum } from '../e2e/support.mjs'
import { randomness } from './random.mjs'

const START = Date.parse('2025-03-08T09:00:00Z')
const PLANS = ['free', 'starter', 'maker', 'max', 'starter']
const CALLERS_PER_ACCOUNT = 3
const MOST_ANSWERS_A_ROUND = 80
const LONGEST_ROUND_MS = 2_000
/** Each of the accounts may be rewarded for twenty guests. */
const MOST_GUESTS = 20 * PLANS.length
/** How many answers of earlier rounds are asked for again after each kill. All are at the end. */
const SAMPLE = 60

/** The entries that calls with a key make, and how an answer names the one that it made. */
const KEYED = {
  held: (entry) => entry.hold.id, charged: (entry) => entry.charge.id, captured: (entry) => entry.charge.id, refunded: (entry) => entry.refund.id,
  granted: (entry) => entry.grant.id, voided: (entry) => entry.grant.id, released: (entry) => entry.hold.id, extended: null, feature_used: null, feature_returned: null,
}

/** One account under load: what was asked of it, and what is known of the answers. */
class Subject {
  constructor(api, name, opening) {
    Object.assign(this, { api, name, opening, now: START, asked: [], holds: [], charges: [], grants: [], journal: [], guests: 0 })
  }

  get account() {
    return new Account(this.api, this.name, new Date(this.now).toISOString())
  }

  /** Sends a call, the first time or again. An answer that did not come leaves `answer` null. */
  async send(call) {
    const { method, rest, body, key } = call
    const clock = new Date(this.now).toISOString()
    let response
    try {
      response = await this.api.request(method, this.account.path(rest), { body, clock, idempotencyKey: key })
    } catch {
      return null
    }
    assert.ok(response.status < 500, `${response.status} to ${method} ${rest} ${JSON.stringify(body)}: ${JSON.stringify(response.body)}`)
    return response
  }

  keep(call, response) {
    if (!response || response.status >= 300) return
    call.answer = { status: response.status, body: response.body }
    const { hold, charge, grant } = response.body
    if (call.kind === 'held') this.holds.push(hold.id)
    if (charge) this.charges.push(charge.id)
    if (call.kind === 'granted') this.grants.push(grant.id)
  }
}

function request({ below, pick }) {
  const call = () => pick([
    costing(below(40)), { model: 'flux-1.1-pro', usage: { images: below(5) } }, { model: 'seedance-1-lite', usage: { seconds: below(4000) / 1000 } },
    { model: 'gpt-4o', usage: { input_tokens: below(20_000), output_tokens: below(5000) } }, { model: 'bark', usage: { uses: below(3) } },
  ])
  return below(4) ? call() : { items: [call(), call(), { credits: below(3_000_000) / 1e6, description: 'upload' }].slice(0, 2 + below(2)) }
}

/** The next call of a caller: what it is, and the kind of entry that it makes if it succeeds. */
function nextCall(subject, random) {
  const { below, pick, chance } = random
  const hold = () => pick(subject.holds) ?? 'hold_1'
  const charge = () => pick(subject.charges) ?? 'charge_1'
  const policy = () => (chance(0.3) ? {} : { on_excess: pick(['owe', 'forgive', 'reject']) })
  const post = (kind, rest, body) => ({ kind, method: 'POST', rest, body })
  const calls = [
    [20, () => post('charged', '/charges', { ...request(random), ...policy() })],
    [20, () => post('held', '/holds', { ...request(random), ttl_seconds: pick([1, 60, 900, 86_400]) })],
    [20, () => post('captured', `/holds/${hold()}/capture`, { ...request(random), ...policy() })],
    [6, () => post('released', `/holds/${hold()}/release`, {})],
    [3, () => post('extended', `/holds/${hold()}/extend`, { ttl_seconds: 1 + below(86_400) })],
    [9, () => post('refunded', `/charges/${charge()}/refund`, chance(0.5) ? {} : { credits: below(9_000_000) / 1e6 })],
    [12, () => post('granted', '/grants', {
      kind: pick(['bonus', 'pack', 'promotion', 'adjustment']), credits: 1 + below(300_000_000) / 1e6, priority: below(101),
      ...(chance(0.2) && { scope: [pick(['advanced', 'multimodal', 'video'])] }),
      ...(chance(0.4) && { expires_at: new Date(subject.now + (24 + below(200)) * 3_600_000).toISOString() }),
    })],
    [2, () => post('voided', `/grants/${pick(subject.grants) ?? 'grant_1'}/void`, {})],
    [4, () => post('feature_used', '/entitlements/file_uploads/use', { quantity: 1 + below(3) })],
    [2, () => post('feature_returned', '/entitlements/file_uploads/return', { quantity: 1 + below(3) })],
    [2, () => ({ method: 'PUT', rest: '/plan', body: { plan: pick(['free', 'starter', 'maker']), effective: pick(['now', 'period_end']) } })],
    [1, () => ({ method: 'PATCH', rest: '', body: { time_zone: pick(['UTC', 'Asia/Kolkata', 'America/New_York']) } })],
  ]
  let ticket = below(calls.reduce((total, [weight]) => total + weight, 0))
  return calls.find(([weight]) => (ticket -= weight) < 0)[1]()
}

/** Calls an account, one call after another, until the power is cut. */
async function caller(subject, random, round) {
  while (!round.isOver) {
    if (random.chance(0.1)) subject.now += random.below(random.chance(0.1) ? 20 * 3_600_000 : 90_000)
    const call = nextCall(subject, random)
    if (call.kind) {
      call.key = `${round.name}-${subject.asked.length}`
      subject.asked.push(call)
    }
    const response = await subject.send(call)
    if (call.kind) {
      call.isOpen = response === null
      subject.keep(call, response)
    }
    round.answers += response ? 1 : 0
    round.refusals += response?.status >= 400 ? 1 : 0
    round.lost += response ? 0 : 1
  }
}

/** A newcomer opens an account and redeems a friend's invitation, which writes to both accounts and to the directory. */
class Guest {
  constructor(api, name, host) {
    Object.assign(this, { account: new Account(api, name, new Date(START).toISOString()), host, key: { idempotencyKey: `${name}-redeems` } })
  }

  async come(round, answers) {
    while (round.answers < answers && !round.isOver) await sleep(1)
    await this.visit().catch(() => null)
  }

  async visit() {
    const opening = await this.account.put('', { plan: 'free' })
    assert.ok([200, 201].includes(opening.status), JSON.stringify(opening.body))
    return this.account.post('/invitations/redeem', { code: this.host.code }, this.key)
  }

  /** Whatever was cut off: both are rewarded once. */
  async comeAgain() {
    const first = await this.visit()
    assert.ok(first.status < 300, `${first.status} ${JSON.stringify(first.body)}`)
    const again = await this.visit()
    assert.deepEqual([again.status, again.body, header(again, 'idempotent-replayed')], [first.status, first.body, 'true'])
    const journal = await this.account.entries()
    assert.deepEqual([journal.filter(({ kind }) => kind === 'opened').length, journal.filter(isReward).length], [1, 1])
    lawfulJournal(journal)
    lawfulBalance(await this.account.balance())
    this.host.guests += 1
  }
}

/** A call that was answered is answered again, word for word, and has no effect. */
async function retry(subject, call) {
  const again = await subject.send(call)
  const told = `${call.method} ${call.rest} with the key ${call.key}`
  assert.deepEqual([again?.status, again?.body], [call.answer.status, call.answer.body], told)
  assert.equal(header(again, 'idempotent-replayed'), 'true', told)
}

/** Resolves what was under way: afterwards each such key has had one effect, or none and a refusal. */
async function resolve(subject, tally) {
  for (const call of subject.asked.filter((call) => call.isOpen)) {
    const response = await subject.send(call)
    assert.ok(response, `no answer to ${call.method} ${call.rest}`)
    call.isOpen = false
    subject.keep(call, response)
    tally.resolved += 1
    if (header(response, 'idempotent-replayed') === 'true') tally.kept += 1
    if (call.answer) await retry(subject, call)
  }
}

/** The laws of one account, and that its journal has what the answers promised, and nothing else. */
async function check(subject) {
  const { account } = subject
  const [balance, journal] = [await account.balance(), await account.entries()]
  assert.deepEqual(journal.slice(0, subject.journal.length), subject.journal, 'what was read stays as it was')
  subject.journal = journal
  journal.forEach((entry, index) => assert.equal(entry.seq, index + 1, 'the journal has no gap'))
  lawfulBalance(balance)
  lawfulJournal(journal)
  for (const entry of journal) if (entry.charge) lawfulCharge(entry.charge)
  for (const [kind, name] of Object.entries(KEYED)) {
    const made = journal.filter((entry) => entry.kind === kind && !isAllowance(entry) && !isReward(entry))
    const promised = subject.asked.filter((call) => call.kind === kind && call.answer)
    assert.equal(made.length, promised.length, `${subject.name}: entries of the kind ${kind}, and keys that made one`)
    if (name) assert.deepEqual(made.map(name).sort(), promised.map(({ answer }) => name(answer.body)).sort(), `${subject.name}: ${kind}`)
  }
  assert.equal(journal.filter(isReward).length, subject.guests, `${subject.name}: rewards for guests`)
  const { grants } = await account.read('/grants?limit=200')
  for (const grant of grants) {
    const parts = ['remaining', 'held', 'spent', 'expired', 'voided'].map((part) => grant[part])
    assert.equal(sum(parts), grant.credits, `the parts of ${JSON.stringify(grant)}`)
  }
  const verified = await account.get('/entries/verify')
  if (verified.status === 200) assert.deepEqual(verified.body.findings, [], 'the journal verifies')

  // A read computes what is due; a command writes it, and then the journal adds up to the very balance.
  const used = { kind: 'feature_used', method: 'POST', rest: '/entitlements/file_uploads/return', body: { quantity: 1 } }
  const response = await subject.send({ ...used, key: `settle-${journal.length}` })
  if (response.status < 300) subject.asked.push({ ...used, kind: 'feature_returned', key: `settle-${journal.length}`, answer: { status: response.status, body: response.body } })
  if (response.status < 300) {
    const [after, entries] = [await account.balance(), await account.entries()]
    assert.equal(lawfulJournal(entries), after.available, 'the journal adds up to what is available')
    matches(entries.at(-1).balance, figures(after), 'the last entry\'s balance')
  }
}

/** Grants that no call with a key of the account's own asks for. */
const isAllowance = (entry) => entry.kind === 'granted' && ['daily', 'monthly'].includes(entry.grant.kind)
const isReward = (entry) => entry.kind === 'granted' && entry.grant.kind === 'invitation'

/** Cuts the power `kills` times, and gives the figures. Throws at the first promise that was not kept. */
export async function crash({ kills, seed, log = () => {} }) {
  const server = await serve()
  const api = client(server, { key: SERVICE_KEY })
  const subjects = PLANS.map((plan, index) => new Subject(api, `crash-${seed}-${index}`, { plan, ...(index === 1 && { time_zone: 'America/New_York' }) }))
  const tally = { kills: 0, answers: 0, refusals: 0, lost: 0, resolved: 0, kept: 0, retried: 0, entries: 0 }
  try {
    for (const subject of subjects) {
      answered(await subject.account.put('', subject.opening), 201)
      subject.code = (await subject.account.read('/invitation')).code
    }
    const random = randomness(seed)
    for (let kill = 1; kill <= kills; kill += 1) {
      const round = { name: `${seed}-${kill}`, isOver: false, answers: 0, refusals: 0, lost: 0 }
      const callers = subjects.flatMap((subject) => Array.from({ length: CALLERS_PER_ACCOUNT }, () => caller(subject, randomness(random.below(2 ** 32)), round)))
      const guest = kill <= MOST_GUESTS && new Guest(api, `guest-${seed}-${kill}`, subjects[kill % subjects.length])
      if (guest) callers.push(guest.come(round, random.below(MOST_ANSWERS_A_ROUND)))
      const [enough, end] = [random.below(MOST_ANSWERS_A_ROUND), Date.now() + LONGEST_ROUND_MS]
      while (round.answers < enough && Date.now() < end) await sleep(1)
      await sleep(random.below(8))
      // The callers go on until they notice.
      const dead = server.kill()
      await Promise.race([dead, sleep(5)])
      round.isOver = true
      await Promise.all([dead, ...callers])
      await server.restart()
      tally.kills += 1
      for (const figure of ['answers', 'refusals', 'lost']) tally[figure] += round[figure]

      if (guest) await guest.comeAgain()
      await Promise.all(subjects.map(async (subject) => {
        await resolve(subject, tally)
        const done = subject.asked.filter((call) => call.answer)
        const isRecent = (call) => call.key.startsWith(`${round.name}-`)
        const sample = kill === kills ? done : done.filter((call) => isRecent(call) || random.chance(SAMPLE / PLANS.length / done.length))
        for (const call of sample) await retry(subject, call)
        tally.retried += sample.length
        await check(subject)
      }))
      log(`kill ${kill}: ${round.answers} answers, ${round.lost} lost`)
    }
    tally.entries = subjects.reduce((total, { journal }) => total + journal.length, 0)
    return tally
  } catch (error) {
    error.message = `seed ${seed}, after ${tally.kills} kills: ${error.message}\n${server.log.slice(-2000)}`
    throw error
  } finally {
    await server.stop()
  }
}

if (realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)) {
  const [kills = 50, seed = Date.now() % 1_000_000] = process.argv.slice(2).map(Number)
  console.log(`crash: ${kills} kills, seed ${seed}`)
  const start = Date.now()
  const tally = await crash({ kills, seed, log: console.log })
  console.log(`crash: every promise was kept. ${JSON.stringify({ ...tally, seconds: Math.round((Date.now() - start) / 1000) })}`)
}
