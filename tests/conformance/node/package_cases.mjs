// Runs one case of `@synap/client`. Usage: package_cases.mjs CASE URL TOKEN [KEY…]. Prints one line of JSON.
import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { createAuthor, createSynap, follow, newEventId, toFieldErrors } from '@synap/client'
import superjson from 'superjson'
import WebSocket from 'ws'

const [name, url, token, ...keys] = process.argv.slice(2)
const type = `case.${newEventId()}`

/** A client, and the requests that it makes. `answer` may change what comes back. */
function client(options = {}, answer = (response) => response) {
  const requests = []
  const send = async (address, init) => {
    requests.push({ url: String(address), method: init.method ?? 'GET', headers: { ...init.headers } })
    return answer(await fetch(address, init), requests.length)
  }
  return { api: createSynap({ url, token: () => token, fetch: send, WebSocket, ...options }), requests }
}

const numbers = async (api) =>
  (await api.events.list.query({ type })).map((event) => event.data.number).reverse()

/** Waits until `done` is true of what a stream received. */
function heard(api, input, done, live = () => {}) {
  return new Promise((resolve, reject) => {
    const values = []
    const states = []
    const subscription = api.events.stream.subscribe(input, {
      onData(value) {
        values.push(value)
        if (!done(values)) return
        subscription.unsubscribe()
        resolve({ values, states })
      },
      onConnectionStateChange({ state, error }) {
        states.push(state)
        if (state === 'pending') live(states, error)
      },
      onError: reject,
    })
  })
}

const cases = {
  /** Logs what is hard to sign, in every way. */
  async signed() {
    const [secret] = keys
    const author = await createAuthor(Uint8Array.from(Buffer.from(secret, 'hex')))
    const { token: bound } = await client().api.keys.create.mutate({
      scopes: ['events:write', 'events:read-own'], authors: [author.did], authorRequired: true,
    })
    const { api, requests } = client({ token: () => bound, author })
    const data = { one: 1.0, big: 1e21, zero: -0, none: null, gone: undefined, 'nul\0': 'a\0b', '\u{1f600}': 1, '\ufb33': 2 }
    const [first, other] = await Promise.all([
      api.events.log.mutate({ type, data, occurredAt: '2026-01-02T05:04:05.5+02:00', subjectId: null }),
      api.events.logBatch.mutate({ events: [{ type, data: {} }, { type, data: {}, metadata: { custom: { a: null } } }] }),
    ])
    const again = await api.events.log.mutate({ type, data, id: first.id.toUpperCase(), occurredAt: '2026-01-02T03:04:05.500Z' })
    assert.deepEqual(again, first)
    assert.equal(other.length, 2)
    assert.equal((await api.events.validate.mutate({ type, data })).valid, true)
    assert.equal(requests.filter(({ url }) => url.includes('keys.current')).length, 1)
    return author.did
  },

  /** Signs the events of the vectors. Returns the names of those that got another signature. */
  async vectors() {
    const [file, secret] = keys
    const cases = JSON.parse(await readFile(file, 'utf8')).cases.filter(({ verifies }) => verifies)
    const author = createAuthor(Uint8Array.from(Buffer.from(secret, 'hex')))
    const wrong = []
    for (const { name, event } of cases) {
      const { salt: _, metadata, ...context } = event.context
      const { author: expected, ...synap } = metadata.synap
      let sent
      const options = {
        author,
        place: { node: event.node, workspace: event.log, userId: context.userId },
        retries: 0,
        fetch: async (_address, { body }) => {
          sent = JSON.parse(body)
          return new Response('{}', { status: 500 })
        },
      }
      const input = { ...context, metadata: { ...metadata, synap }, data: event.payload, id: event.event_id, type: event.type }
      await client(options).api.events.log.mutate(input).catch(() => {})
      const { signature } = (sent[0] ?? sent).metadata.synap.author
      if (signature !== expected.signature) wrong.push(name)
    }
    return [cases.length, wrong]
  },

  async batches() {
    const { api, requests } = client()
    await Promise.all(Array.from({ length: 250 }, () => api.events.page.query({ type, limit: 1 })))
    const calls = requests.map(({ url }) => new URL(url).pathname.split(',').length)
    assert.equal(calls.reduce((sum, each) => sum + each), 250)
    assert.ok(requests.every(({ url }) => url.length <= 6_000))
    await Promise.all(Array.from({ length: 250 }, () => api.events.log.mutate({ type, data: {} })))
    return Math.max(...requests.map(({ url }) => new URL(url).pathname.split(',').length))
  },

  async long() {
    const { api, requests } = client()
    const filter = { 'data.title': { in: Array.from({ length: 100 }, (_, place) => `${place}`.repeat(300)) } }
    assert.equal((await api.events.page.query({ type, filter })).total, 0)
    const values = heard(api, { type, filter: { OR: [filter, { 'data.number': 1 }] }, start: 'beginning' }, () => true)
    await api.events.log.mutate({ type, data: { number: 1, text: 'x'.repeat(100_000) } })
    await values
    return requests.map(({ method, url }) => `${method} ${new URL(url).pathname}`)
  },

  async lost() {
    let lost = 0
    const { api } = client({}, (response) => {
      if (lost++ < 2) throw new TypeError('the answer was lost')
      return response
    })
    await api.events.log.mutate({ type, data: { number: 0 } })
    lost = 0
    await api.events.logBatch.mutate({ events: [{ type, data: { number: 1 } }, { type, data: { number: 2 } }] })
    lost = 0
    await assert.rejects(api.keys.create.mutate({ scopes: ['events:read'] }), /the answer was lost/)
    lost = 0
    return numbers(api)
  },

  async renewed() {
    let asked = 0
    const [ended, ...others] = keys
    const { api, requests } = client({ token: async () => [ended, token, ...others][asked++] })
    await Promise.all([api.events.page.query({ type }), api.events.log.mutate({ type, data: {} })])
    await api.events.page.query({ type })
    return [asked, requests.length]
  },

  async refused() {
    let asked = 0
    const { api } = client({ token: () => `sk_wrong_${asked++}`, retries: 5 })
    await assert.rejects(api.events.page.query({ type }), (error) => error.data.code === 'UNAUTHORIZED')
    const codes = []
    for (const transport of ['sse', 'ws']) {
      const { api } = client({ token: () => `sk_wrong_${asked++}`, transport })
      await new Promise((resolve) =>
        follow(api, { type }, { from: 'now', onEvent() {}, onState: (state, error) => state === 'refused' && codes.push(error.data.code) && resolve() }),
      )
    }
    return [asked, ...codes]
  },

  async fields() {
    const { api } = client()
    const wrong = { type: 'wrong', data: {}, metadata: { ai: {} } }
    const fields = await api.events.log.mutate(wrong).catch(toFieldErrors)
    const missing = await api.events.get.query({ eventId: newEventId() }).catch(toFieldErrors)
    return [Object.keys(fields), fields['metadata.ai.agent'], missing, toFieldErrors(new Error('x'))]
  },

  async proxied() {
    const page = () => new Response('<h1>Bad Gateway</h1>', { status: 502, headers: { 'content-type': 'text/html' } })
    const { api, requests } = client({ retries: 1 }, page)
    const error = await api.events.page.query({ type }).catch((failed) => failed)
    return [requests.length, error.message]
  },

  async transformers() {
    const { api } = client({ transformer: superjson, retries: 0 })
    return (await api.events.list.query({ limit: 1 }).catch((failed) => failed)).message
  },

  async dates() {
    const values = []
    for (const transport of ['sse', 'ws']) {
      const { api } = client({ transformer: superjson, transport })
      const { values: [value] } = await heard(api, { type, start: new Date(0) }, () => true, () => api.events.log.mutate({ type, data: {} }))
      values.push(value.data.timestamp instanceof Date)
    }
    return values
  },

  /** Events that are logged while a stream that has received nothing yet is disconnected. */
  async away() {
    const sockets = []
    class Cut extends WebSocket {
      constructor(...given) {
        super(...given)
        sockets.push(this)
      }
    }
    const outcome = {}
    for (const transport of ['sse', 'ws']) {
      const streams = []
      const cut = async (response) => {
        if (!response.headers.get('content-type').startsWith('text/event-stream')) return response
        const reader = response.body.getReader()
        const body = new ReadableStream({
          start: (controller) => streams.push(controller),
          async pull(controller) {
            const { done, value } = await reader.read()
            if (!done) controller.enqueue(value)
          },
        })
        return new Response(body, { headers: response.headers })
      }
      const { api } = client({ transport, WebSocket: Cut }, cut)
      const other = client().api
      let isCut = false
      const { values, states } = await heard(api, { type: `${type}.${transport}` }, (got) => got.length === 2, async () => {
        if (isCut) return other.events.log.mutate({ type: `${type}.${transport}`, data: { number: 2 } })
        isCut = true
        await other.events.log.mutate({ type: `${type}.elsewhere`, data: {} })
        if (transport === 'sse') streams[0].error(new TypeError('cut'))
        else sockets[0].terminate()
        return other.events.log.mutate({ type: `${type}.${transport}`, data: { number: 1 } })
      })
      outcome[transport] = [values.map(({ data }) => data.data.number), states]
    }
    return outcome
  },

  /** A listener that throws still gets the next event, because throwing is the page's fault. */
  async thrown() {
    const thrown = []
    process.on('uncaughtException', (error) => thrown.push(error.message))
    const { api } = client()
    const events = [0, 1, 2].map((number) => ({ type, data: { number } }))
    await api.events.logBatch.mutate({ events })
    const got = []
    await new Promise((resolve) => {
      const stop = follow(api, { type }, {
        from: 'beginning',
        onEvent({ data: { number } }) {
          got.push(number)
          if (number === 2) return stop(), resolve()
          throw new Error(`not ${number}`)
        },
      })
    })
    await new Promise((resolve) => setTimeout(resolve))
    return [got, thrown]
  },

  async places() {
    const { api } = client({ transport: 'ws' })
    const events = await api.events.logBatch.mutate({ events: [0, 1, 2].map((number) => ({ type, data: { number } })) })
    const page = await api.events.page.query({ type, limit: 2 })
    const empty = await api.events.page.query({ type: `${type}.none` })
    const froms = { beginning: 'beginning', id: events[0].id, time: events[0].timestamp, newest: { newest: 2 }, page, empty }
    const followed = Object.entries(froms).map(([name, from]) => new Promise((resolve, reject) => {
      const got = []
      const stop = follow(api, { type }, {
        from,
        onEvent({ data: { number } }) {
          got.push(number)
          if (number === 9) return stop(), resolve([name, got])
        },
        onState(state, error) {
          if (state === 'refused') reject(error)
          if (state === 'live') api.events.log.mutate({ id: last, type, data: { number: 9 } }).catch(reject)
        },
      })
    }))
    return Object.fromEntries(await Promise.all(followed))
  },

  /** The patterns that match a type in a page, and those that match it at the server. */
  async meets() {
    const { meets } = await import('./node_modules/@synap/client/dist/meets.js')
    const { api } = client()
    const correlationId = newEventId()
    const drafts = ['a.b', 'a.b.c', 'x.b', 'a.c', 'a.x.c', 'a.b.c.d'].map((name) => ({ type: name, data: {}, correlationId }))
    const events = await api.events.logBatch.mutate({ events: [...drafts, { ...drafts[0], metadata: { custom: {} }, source: 'sync' }] })
    const types = ['*', 'a.*', '*.b', 'a.*.c', 'a.b', 'a.b.*', '*.*', '*.*.*', 'a'].map((pattern) => ({ type: pattern }))
    const others = [{ hasMetadata: true }, { hasMetadata: false }, { source: 'sync' }, { producer: 'sync' }, { subjectId: 'x' }, { type: null }]
    const wrong = []
    for (const wanted of [...types, ...others]) {
      const found = await api.events.list.query({ ...wanted, correlationId })
      const mine = events.filter((event) => meets(event, { ...wanted, correlationId })).map(({ id }) => id)
      if (found.map(({ id }) => id).sort().join() !== mine.sort().join()) wrong.push(wanted)
    }
    return [wrong, meets(events[0], { filter: {} })]
  },

  async workspace() {
    const { api } = client({ workspace: 'nowhere' })
    const codes = [await api.events.page.query({}).catch((error) => error.data.code)]
    for (const transport of ['sse', 'ws']) {
      const { api } = client({ workspace: 'nowhere', transport })
      codes.push(await heard(api, {}, () => true).catch((error) => error.data.code))
    }
    return codes
  },
}
const last = newEventId()

console.log(JSON.stringify(await cases[name]()))
process.exit()
