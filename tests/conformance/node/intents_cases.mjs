// Runs one case of the intents of `@synap/client`. Usage: intents_cases.mjs CASE URL TOKEN ANN TYPE [KEY]. Prints JSON.
import { approved, ask, createSynap } from '@synap/client'

const [name, url, token, annsToken, type, key] = process.argv.slice(2)
const api = createSynap({ url, token })
const ann = createSynap({ url, token: () => annsToken })
const REFUND = { orderId: 'order-7', amount: 82000 }

/** The open intent of this case, as soon as there is one. */
async function waiting() {
  for (;;) {
    const { intents } = await ann.intents.list.query({ waiting: true })
    const found = intents.find((each) => each.type === `${type}.requested`)
    if (found) return found
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}

async function decide(decision = 'approved', reason = 'Agreed by phone') {
  const { eventId, hash } = await waiting()
  return ann.intents.decide.mutate({ eventId, hash, decision, reason })
}

const events = async () =>
  (await ann.events.list.query({ type: `${type}.*` })).reverse().map((event) => [event.type.split('.').at(-1), event.data])

const words = async () => (await events()).map(([word]) => word)

const caught = (promise) => promise.then(() => 'nothing', ({ kind, why, outcome, data, name: kinds, message }) =>
  [kind ?? data?.reason ?? kinds, why ?? outcome ?? (kind || data ? null : message)])

const cases = {
  async asks() {
    const options = { summary: 'Refund order 7', risk: 'high', event: { subjectId: 'order-7', metadata: { ai: { agent: 'a' } } } }
    const [intent, listed] = await Promise.all([ask(api, type, REFUND, options), waiting(), decide()])
    return [intent.event.data, intent.event.metadata.ai, intent.state, intent.reason, listed.summary, listed.subjectId]
  },

  async ends() {
    const rejected = caught(ask(api, type, REFUND))
    await decide('rejected', 'Too much')
    const withdrawn = caught(ask(api, type, REFUND))
    await api.intents.withdraw.mutate({ eventId: (await waiting()).eventId })
    const soon = new Date(Date.now() + 5000).toISOString()
    const expired = caught(ask(api, type, REFUND, { expiresAt: soon }))
    const undecided = caught(ask(api, type, REFUND, { waitSeconds: 0 }))
    const leaving = new AbortController()
    const left = caught(ask(api, type, REFUND, { signal: leaving.signal }))
    setTimeout(() => leaving.abort(new Error('left')), 100)
    return [await rejected, await withdrawn, await expired, await undecided, (await left)[0]]
  },

  async runs() {
    const lines = [{ sku: 'a' }]
    const refund = approved(api, type, ({ orderId, lines }) => `${orderId} ${lines[0].sku}`, {
      describe: ({ orderId }) => `Refund ${orderId}`,
      details: true,
    })
    const running = refund({ orderId: 'order-7', lines, note: undefined })
    const { summary } = await waiting()
    lines[0].sku = 'changed while it waits'
    await decide()
    return [await running, summary, await words(), (await events()).at(-1)[1]]
  },

  async fails() {
    const told = []
    for (const details of [false, true]) {
      const refund = approved(api, type, () => { throw new RangeError('a secret') }, { details })
      const [failed] = await Promise.all([caught(refund(REFUND)), decide()])
      told.push([failed, (await events()).at(-1)])
    }
    const [made] = await Promise.all([approved(api, type, () => 10n, { details: true })(REFUND), decide()])
    told.push([String(made), (await events()).at(-1)])
    return told
  },

  async refuses() {
    const refund = approved(api, type, () => 1)
    const foreign = [new Date(), NaN, 1n, [() => 1], new Map()]
    const refused = []
    for (const amount of foreign) refused.push((await caught(refund({ amount })))[1].split(':')[0])
    return [refused, await words()]
  },

  /** Names the type of the event in place of the act. */
  async names() {
    const refused = await caught((async () => approved(api, `${type}.requested`, () => 1))())
    return [refused, await caught(ask(api, `${type}.requested`, REFUND)), await words()]
  },

  /** Dies while the function runs. */
  async crash() {
    const refund = approved(api, type, () => {
      console.log('"ran"')
      process.exit(9)
    })
    await Promise.all([refund(REFUND, { key }), decide()])
  },

  async again() {
    let ran = 0
    const refund = approved(api, type, () => ran++)
    const still = await refund(REFUND, { key }).catch((error) => error)
    await api.intents.finish.mutate({ startId: still.startId, outcome: 'failed' })
    const other = { ...REFUND, amount: 820000 }
    const taken = await refund(other, { key }).catch((error) => error)
    return [[still.kind, still.outcome ?? null], await caught(refund(REFUND, { key })), [taken.data.reason, taken.message], ran]
  },

  /** Loses the answers to the first start and to every report. */
  async lost() {
    const seen = []
    const send = async (address, init) => {
      const answer = await fetch(address, init)
      const path = new URL(address).pathname.split('/').at(-1)
      const isLost = (path === 'intents.start' && !seen.includes(path)) || path === 'intents.finish'
      seen.push(path)
      if (isLost) throw new TypeError('the answer was lost')
      return answer
    }
    const cut = createSynap({ url, token: () => token, fetch: send, retries: 1 })
    const [error] = await Promise.all([approved(cut, type, () => 'done')(REFUND).catch((error) => error), decide()])
    return [error.kind, error.result, await words()]
  },

  /** Is aborted while it starts. */
  async aborts() {
    const leaving = new AbortController()
    const send = async (address, init) => {
      const answer = await fetch(address, init)
      if (address.toString().includes('intents.start')) leaving.abort(new RangeError('left'))
      return answer
    }
    const slow = createSynap({ url, token: () => token, fetch: send })
    let ran = 0
    const [left] = await Promise.all([caught(approved(slow, type, () => ran++)(REFUND, { signal: leaving.signal })), decide()])
    return [left, ran, (await events()).at(-1)]
  },

  /** A call of the same tick does not wait for the decision. */
  async apart() {
    const { id } = await api.events.log.mutate({ type: `${type}.requested`, data: {}, metadata: { synap: { intent: {} } } })
    const waited = api.intents.wait.query({ eventId: id, timeoutSeconds: 50 }).then(() => 'waited')
    const first = await Promise.race([waited, api.events.get.query({ eventId: id }).then(() => 'got')])
    await decide()
    return [first, await waited]
  },
}

console.log(JSON.stringify(await cases[name]()))
process.exit()
