// What a frontend does with the event log: one story for every client version, link and transformer.
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import superjson from 'superjson'
import { subscriptions } from './subscriptions.mjs'

const AI_EVENT = {
  type: 'entity.created',
  subjectId: 'entity-456',
  source: 'intelligence',
  data: { type: 'task', title: 'Call John' },
  metadata: {
    ai: {
      agent: 'orchestrator',
      confidence: { score: 0.92 },
      extraction: { extractedFrom: { messageId: 'msg-123', threadId: 'thread-456' }, method: 'explicit' },
    },
  },
}
const CALLS_AT_ONCE = 50
const UNKNOWN_ID = '00000000-0000-4000-8000-000000000000'

/**
 * Reads `URL TOKEN LINK TRANSFORMER` from the command line and runs every step against that server. Prints a summary as
 * JSON; on a failure prints the step and exits with 1.
 *
 * `version` names the client; `connect({ url, token, link, transformer, fetch, inHeader })` makes one, which authorizes
 * event streams by a header if asked to; `TRPCClientError` is its error class; `links` are the links it has.
 */
export async function main({ version, connect, TRPCClientError, links }) {
  const [url, token, link, mode] = process.argv.slice(2)
  assert(links.includes(link), `${version} has no ${link}`)
  assert(['none', 'superjson'].includes(mode), `unknown transformer ${mode}`)
  const transformer = mode === 'superjson' ? superjson : undefined
  const requestsOf = (calls) => ({ httpLink: calls, httpSubscriptionLink: calls, wsLink: 0 })[link] ?? 1

  const requests = []
  const counted = (input, init) => {
    requests.push(String(input))
    return fetch(input, init)
  }
  const open = (as, inHeader = false) =>
    connect({ url: `${url}/trpc`, token: as, link, transformer, fetch: counted, inHeader })
  const { events } = open(token)

  const done = []
  const step = async (name, run) => {
    try {
      const result = await run()
      done.push(name)
      return result
    } catch (cause) {
      console.log(JSON.stringify({ version, link, transformer: mode, failed: name, done, error: String(cause) }, null, 2))
      console.error(cause)
      process.exit(1)
    }
  }
  const refused = async (promise, code, httpStatus) => {
    const error = await promise.then(
      (value) => assert.fail(`answered ${JSON.stringify(value)}`),
      (reason) => reason,
    )
    if (error instanceof assert.AssertionError) throw error
    assert(error instanceof TRPCClientError, error)
    assert.equal(error.data?.code, code, error)
    assert.equal(error.data.httpStatus, httpStatus)
    assert.equal(typeof error.shape.code, 'number')
    assert(error.message.length > 0)
    return error.data
  }

  // Everything that this run logs, and nothing else, has this correlation id.
  const correlationId = `story-${randomUUID()}`
  const moment = (value) => (mode === 'superjson' ? value : value.toISOString())
  const isInstant = (value) =>
    mode === 'superjson' ? assert(value instanceof Date, `${value} is no Date`) : assert.match(value, /^\d{4}-.*Z$/)
  const ids = (list) => list.map(({ id }) => id)
  const started = new Date(Date.now() - 1000)

  const first = await step('log an event by an AI', async () => {
    const sent = { ...AI_EVENT, correlationId }
    const event = await events.log.mutate(sent)
    const { id, version: schema, userId, timestamp, seq, hash, ...rest } = event
    assert.deepEqual(rest, sent)
    assert.match(id, /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/)
    assert.equal(schema, 'v1')
    assert.equal(typeof userId, 'string')
    assert(Number.isSafeInteger(seq) && seq >= 0)
    assert.match(hash, /^sha256:[0-9a-f]{64}$/)
    isInstant(timestamp)
    return event
  })

  const batch = await step('log a batch', async () => {
    const occurredAt = new Date('2024-12-09T01:00:00.123Z')
    const sent = ['started', 'note.made', 'ended'].map((verb, n) => ({
      type: `story.${verb}`,
      data: { n, nested: { list: [1, null, 'é😀'] } },
      correlationId,
      causationId: first.id,
      producer: 'story',
      occurredAt: moment(occurredAt),
    }))
    const logged = await events.logBatch.mutate({ events: sent })
    assert.deepEqual(
      logged.map(({ data }) => data),
      sent.map(({ data }) => data),
    )
    for (const event of logged) {
      assert.equal(event.source, 'api')
      assert(!('metadata' in event) && !('subjectId' in event), 'unset fields are absent')
      assert.equal(new Date(event.occurredAt).getTime(), occurredAt.getTime())
      isInstant(event.occurredAt)
      isInstant(event.timestamp)
    }
    const places = logged.map(({ seq }) => seq)
    assert.deepEqual(places, [...places].sort((a, b) => a - b))
    return logged
  })
  const newestFirst = [...batch].reverse().concat(first)

  await step('list with filters', async () => {
    const list = (filter) => events.list.query({ correlationId, ...filter })
    const expected = {
      everything: [{}, newestFirst],
      limit: [{ limit: 2 }, newestFirst.slice(0, 2)],
      offset: [{ limit: 2, offset: 1 }, newestFirst.slice(1, 3)],
      type: [{ type: 'entity.created' }, [first]],
      'type pattern, one segment': [{ type: '*.ended' }, [batch[2]]],
      'type pattern, the rest': [{ type: 'story.*' }, [...batch].reverse()],
      source: [{ source: 'intelligence' }, [first]],
      'with metadata': [{ hasMetadata: true }, [first]],
      'without metadata': [{ hasMetadata: false }, [...batch].reverse()],
      subject: [{ subjectId: 'entity-456' }, [first]],
      cause: [{ causationId: first.id }, [...batch].reverse()],
      user: [{ userId: first.userId }, newestFirst],
      'another user': [{ userId: 'nobody' }, []],
      'a time range': [{ from: moment(started), to: moment(new Date(Date.now() + 60_000)) }, newestFirst],
      'before all of it': [{ to: moment(started) }, []],
      together: [{ type: 'entity.*', source: 'intelligence', hasMetadata: true, limit: 100 }, [first]],
      nothing: [{ type: 'story.never' }, []],
    }
    for (const [name, [filter, wanted]] of Object.entries(expected)) {
      assert.deepEqual(await list(filter), wanted, name)
    }
    assert((await events.list.query()).length > 0, 'no input at all')
    assert((await events.list.query({ limit: 5, type: undefined })).length > 0, 'an undefined field')
  })

  await step('page through everything', async () => {
    const found = []
    let cursor
    do {
      const page = await events.page.query({ correlationId, limit: 3, cursor })
      assert.equal(page.total, newestFirst.length)
      assert(page.events.length > 0 && page.events.length <= 3)
      found.push(...page.events)
      cursor = page.nextCursor
    } while (cursor !== undefined)
    assert.deepEqual(found, newestFirst)
  })

  await step('get by id', async () => {
    assert.deepEqual(await events.get.query({ eventId: first.id }), first)
    assert.deepEqual(await events.get.query({ eventId: `evt_${first.hash.slice('sha256:'.length)}` }), first)
  })

  await step('get an unknown id', () => refused(events.get.query({ eventId: UNKNOWN_ID }), 'NOT_FOUND', 404))

  await step('name every invalid field', async () => {
    const wrong = {
      type: 'nodots',
      data: [],
      source: 'alien',
      subjectId: 5,
      metadata: { ai: { confidence: { score: 2 } } },
      colour: 'red',
    }
    const { issues } = await refused(events.log.mutate(wrong), 'BAD_REQUEST', 400)
    for (const issue of issues) {
      assert.deepEqual(Object.keys(issue).sort(), ['message', 'path'])
      assert(issue.message.length > 0)
    }
    const named = ['colour', 'data', 'metadata.ai.agent', 'metadata.ai.confidence.score', 'source', 'subjectId', 'type']
    assert.deepEqual(issues.map(({ path }) => path).sort(), named)
    const missing = await refused(events.log.mutate({}), 'BAD_REQUEST', 400)
    assert.deepEqual(missing.issues.map(({ path }) => path).sort(), ['data', 'type'])
  })

  await step('refuse a bad token', async () => {
    await refused(open('sk_nobody_nothing').events.list.query({}), 'UNAUTHORIZED', 401)
    await refused(open('sk_nobody_nothing').events.log.mutate(AI_EVENT), 'UNAUTHORIZED', 401)
    await refused(open(undefined).events.get.query({ eventId: first.id }), 'UNAUTHORIZED', 401)
  })

  await step('retry with the same id', async () => {
    const sent = { ...AI_EVENT, id: randomUUID(), correlationId: `${correlationId}-retry` }
    const once = await events.log.mutate(sent)
    const [twice, thrice] = await Promise.all([events.log.mutate(sent), events.log.mutate(sent)])
    assert.equal(once.id, sent.id)
    assert.deepEqual(twice, once)
    assert.deepEqual(thrice, once)
    assert.deepEqual(await events.logBatch.mutate({ events: [sent] }), [once])
    assert.equal((await events.list.query({ correlationId: sent.correlationId })).length, 1)

    const { hash } = await refused(events.log.mutate({ ...sent, data: { other: true } }), 'CONFLICT', 409)
    assert.equal(hash, once.hash)
  })

  const many = await step(`log ${CALLS_AT_ONCE} at once`, async () => {
    requests.length = 0
    const sent = Array.from({ length: CALLS_AT_ONCE }, (_, n) => ({ type: 'story.many', data: { n }, correlationId }))
    const logged = await Promise.all(sent.map((draft) => events.log.mutate(draft)))
    assert.deepEqual(
      logged.map(({ data }) => data.n),
      sent.map(({ data }) => data.n),
    )
    assert.equal(new Set(ids(logged)).size, CALLS_AT_ONCE)
    assert.equal(requests.length, requestsOf(CALLS_AT_ONCE))
    return logged
  })

  await step(`get ${CALLS_AT_ONCE} at once`, async () => {
    requests.length = 0
    assert.deepEqual(await Promise.all(many.map(({ id }) => events.get.query({ eventId: id }))), many)
    assert.equal(requests.length, requestsOf(CALLS_AT_ONCE))
  })

  await step('fail one of a batch', async () => {
    const [good, bad] = await Promise.allSettled([
      events.get.query({ eventId: first.id }),
      events.get.query({ eventId: UNKNOWN_ID }),
    ])
    assert.deepEqual(good.value, first)
    assert.equal(bad.reason.data.code, 'NOT_FOUND')
    assert.equal(bad.reason.data.path, 'events.get')
  })

  if (['httpSubscriptionLink', 'wsLink'].includes(link)) {
    await subscriptions({ token, link, open, step, refused, isInstant, correlationId })
  }

  console.log(JSON.stringify({ version, link, transformer: mode, done }, null, 2))
  process.exit() // otherwise open sockets would keep the process alive
}
