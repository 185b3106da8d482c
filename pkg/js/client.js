// A client of the API, for servers and browsers, on `fetch` alone.

import { EdgeCreditsError } from './error.js'
import { actualUsage } from './usage.js'

export { EdgeCreditsError }

const DEFAULTS = { retries: 3, captureRetries: 8, timeoutMs: 30_000, backoffMs: 250 }
const LONGEST_BACKOFF_MS = 10_000
/** A server that asks for more patience than this is told to be down. */
const LONGEST_RETRY_AFTER_MS = 60_000

export class EdgeCredits {
  #base
  #token
  #fetch
  #options

  constructor({ baseUrl, token, fetch = globalThis.fetch, ...options }) {
    this.#base = String(baseUrl).replace(/\/+$/, '')
    this.#token = token
    // Browsers want their fetch to be called on nothing but the global object.
    this.#fetch = (...request) => fetch(...request)
    this.#options = { ...DEFAULTS, ...given(options) }
  }

  // What needs no account.

  health = (options) => this.#get('/health', {}, options)
  catalog = (options) => this.#get('/v1/catalog', {}, options)
  catalogs = (options) => this.#get('/v1/catalogs', {}, options)
  catalogByHash = (hash, options) => this.#get(`/v1/catalogs/${encodeURIComponent(hash)}`, {}, options)
  publishCatalog = (publication, options) => this.#send('PUT', '/v1/catalogs', publication, options)
  estimate = (request, options) => this.#send('POST', '/v1/estimate', request, options)
  promotion = (code, options) => this.#get(`/v1/promotions/${encodeURIComponent(code)}`, {}, options)
  offerPromotion = (code, offer, options) => this.#send('PUT', `/v1/promotions/${encodeURIComponent(code)}`, offer, options)
  memorialWall = (query, options) => this.#get('/v1/memorial-wall', query, options)

  // The account.

  openAccount = (account, opening, options) => this.#send('PUT', at(account), opening, options)
  account = (account, options) => this.#get(at(account), {}, options)
  updateAccount = (account, changes, options) => this.#send('PATCH', at(account), changes, options)
  changePlan = (account, change, options) => this.#send('PUT', at(account, 'plan'), change, options)
  setSpendLimits = (account, limits, options) => this.#send('PUT', at(account, 'spend-limits'), limits, options)
  alerts = (account, options) => this.#get(at(account, 'alerts'), {}, options)
  setAlerts = (account, alerts, options) => this.#send('PUT', at(account, 'alerts'), { alerts }, options)
  grantPerk = (account, perk, options) => this.#send('PUT', at(account, 'perks', perk), undefined, options)
  revokePerk = (account, perk, options) => this.#send('DELETE', at(account, 'perks', perk), undefined, options)
  balance = (account, query, options) => this.#get(at(account, 'balance'), query, options)
  preview = (account, request, options) => this.#send('POST', at(account, 'estimate'), request, options)

  // Spending.

  hold = (account, request, options) => this.#post(at(account, 'holds'), request, options)
  holds = (account, query, options) => this.#get(at(account, 'holds'), query, options)
  readHold = (account, hold, options) => this.#get(at(account, 'holds', hold), {}, options)
  capture = (account, hold, request, options) => this.#post(at(account, 'holds', hold, 'capture'), request, options)
  release = (account, hold, options) => this.#post(at(account, 'holds', hold, 'release'), {}, options)
  extend = (account, hold, ttl, options) => this.#post(at(account, 'holds', hold, 'extend'), ttl, options)
  charge = (account, request, options) => this.#post(at(account, 'charges'), request, options)
  refund = (account, charge, part = {}, options) => this.#post(at(account, 'charges', charge, 'refund'), part, options)

  // Credits.

  grant = (account, grant, options) => this.#post(at(account, 'grants'), grant, options)
  grants = (account, query, options) => this.#get(at(account, 'grants'), query, options)
  voidGrant = (account, grant, options) => this.#post(at(account, 'grants', grant, 'void'), {}, options)
  invitation = (account, options) => this.#get(at(account, 'invitation'), {}, options)
  redeemInvitation = (account, code, options) => this.#post(at(account, 'invitations', 'redeem'), { code }, options)
  redeemPromotion = (account, code, options) => this.#post(at(account, 'promotions', 'redeem'), { code }, options)

  // What happened.

  entries = (account, query, options) => this.#get(at(account, 'entries'), query, options)
  verifyEntries = (account, query, options) => this.#get(at(account, 'entries', 'verify'), query, options)
  usage = (account, query, options) => this.#get(at(account, 'usage'), query, options)

  /** Every entry that a query matches, page by page as they are needed. */
  async *allEntries(account, query = {}, options = {}) {
    for (let { cursor } = query; ;) {
      const { entries, next_cursor } = await this.entries(account, { ...query, cursor }, options)
      yield* entries
      if (next_cursor === null) return
      cursor = next_cursor
    }
  }

  // Beside credits.

  entitlements = (account, options) => this.#get(at(account, 'entitlements'), {}, options)

  useFeature(account, feature, quantity = 1, options = {}) {
    return this.#post(at(account, 'entitlements', feature, 'use'), { quantity }, options)
  }

  returnFeature(account, feature, quantity = 1, options = {}) {
    return this.#post(at(account, 'entitlements', feature, 'return'), { quantity }, options)
  }

  /** A WebSocket that tells the balance after every change. */
  async live(account) {
    const token = await this.#currentToken()
    const url = (this.#base + at(account, 'live')).replace(/^http/, 'ws')
    return new WebSocket(url, token ? [`bearer.${token}`] : [])
  }

  /**
   * Holds what a request costs at most, runs `call(hold)`, and captures what it really used. A call that fails gives
   * the hold back. What a call used is never lost to a network that fails: the capture is sent again, under one key.
   */
  async metered(account, request, call, options = {}) {
    const { ttl_seconds, on_excess, usage, usage_format, idempotencyKey = newKey(), signal } = options
    const key = (step) => `${idempotencyKey}:${step}`
    const holding = given({ ...request, ttl_seconds })
    const { hold } = await this.hold(account, holding, { idempotencyKey: key('hold'), signal })

    let result
    try {
      result = await call(hold)
    } catch (failure) {
      // A hold that cannot be given back now lapses by itself; the failure of the call is what matters.
      await this.release(account, hold.id, { idempotencyKey: key('release') }).catch(() => {})
      throw failure
    }

    const capture = { request: undefined, idempotencyKey: key('capture') }
    try {
      const used = actualUsage(usage ? await usage(result) : result, request, usage_format)
      capture.request = given({ ...used, on_excess })
      const retries = this.#options.captureRetries
      const { idempotencyKey } = capture
      return { result, ...await this.capture(account, hold.id, capture.request, { idempotencyKey, retries }) }
    } catch (failure) {
      // The call was made: whoever catches this has all that it takes to capture it later.
      throw Object.assign(failure, { hold, result, capture })
    }
  }

  #get(path, query, options) {
    const search = String(new URLSearchParams(given(query)))
    return this.#send('GET', search ? `${path}?${search}` : path, undefined, options)
  }

  /** Sends what must happen once: under a key that stays the same when it is sent again. */
  #post(path, body, { idempotencyKey = newKey(), ...options } = {}) {
    return this.#send('POST', path, body, { ...options, idempotencyKey })
  }

  async #send(method, path, body, { idempotencyKey, signal, headers, ...options } = {}) {
    const { retries, timeoutMs, backoffMs } = { ...this.#options, ...given(options) }
    const json = body === undefined ? undefined : JSON.stringify(body)
    for (let attempt = 0; ; attempt++) {
      const token = await this.#currentToken()
      const answer = await this.#attempt(this.#base + path, {
        method,
        body: json,
        headers: given({
          accept: 'application/json',
          'content-type': json && 'application/json',
          authorization: token && `Bearer ${token}`,
          'idempotency-key': idempotencyKey,
          ...headers,
        }),
      }, timeoutMs, signal)
      if ('value' in answer) return answer.value
      const wait = answer.retryAfterMs ?? Math.min(backoffMs * 2 ** attempt, LONGEST_BACKOFF_MS) * (0.5 + Math.random() / 2)
      if (!answer.again || attempt >= retries || wait > LONGEST_RETRY_AFTER_MS) throw answer.error
      await sleep(wait, signal)
    }
  }

  /** One attempt: its value, or an error and whether another attempt may end better. */
  async #attempt(url, request, timeoutMs, signal) {
    signal?.throwIfAborted()
    const abort = new AbortController()
    const pass = () => abort.abort(signal.reason)
    signal?.addEventListener('abort', pass)
    const timer = setTimeout(() => abort.abort(new Error(`no answer within ${timeoutMs} ms`)), timeoutMs)
    try {
      const response = await this.#fetch(url, { ...request, signal: abort.signal })
      const text = await response.text()
      const body = parsed(text)
      if (response.ok && body !== undefined) return { value: body }
      return {
        error: problem(response, body, text),
        again: response.status >= 500 || response.status === 429,
        retryAfterMs: retryAfterMs(response),
      }
    } catch (cause) {
      signal?.throwIfAborted()
      const detail = `${url} could not be reached: ${cause?.message ?? cause}`
      return { error: new EdgeCreditsError({ code: 'network_error', detail }, { cause }), again: true }
    } finally {
      clearTimeout(timer)
      signal?.removeEventListener('abort', pass)
    }
  }

  async #currentToken() {
    return typeof this.#token === 'function' ? this.#token() : this.#token
  }
}

const at = (account, ...rest) => `/v1/accounts/${[account, ...rest].map(encodeURIComponent).join('/')}`

const newKey = () => crypto.randomUUID()

/** The same object without what is undefined. */
const given = (object = {}) => Object.fromEntries(Object.entries(object ?? {}).filter(([, value]) => value !== undefined))

function parsed(text) {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** The error of an answer: its problem document, or what there is where something else than the API answered. */
function problem({ status, statusText }, body, text) {
  if (typeof body?.code === 'string') {
    return new EdgeCreditsError({ ...body, detail: body.detail ?? body.title ?? body.code, status })
  }
  const said = text.slice(0, 200) || statusText || 'nothing'
  return new EdgeCreditsError({ code: 'unexpected_answer', detail: `status ${status}: ${said}`, status })
}

function retryAfterMs({ headers }) {
  const value = headers.get('retry-after')
  if (!value) return undefined
  const wait = /^\d+$/.test(value) ? Number(value) * 1000 : Date.parse(value) - Date.now()
  return Number.isNaN(wait) ? undefined : Math.max(wait, 0)
}

function sleep(ms, signal) {
  return new Promise((resolve, reject) => {
    const stop = () => {
      clearTimeout(timer)
      reject(signal.reason)
    }
    const timer = setTimeout(() => {
      signal?.removeEventListener('abort', stop)
      resolve()
    }, ms)
    signal?.addEventListener('abort', stop, { once: true })
  })
}
