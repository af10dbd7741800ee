// What a frontend does with live events: one story for every client version, link and transformer.
import assert from 'node:assert/strict'

const UNKNOWN_ID = '00000000-0000-4000-8000-000000000000'
const PATIENCE_MS = 60_000
const IDLE_MS = 300

/** The part of the story with subscriptions. `main` of `story.mjs` makes its arguments. */
export async function subscriptions({ token, link, open, step, refused, isInstant, correlationId }) {
  const { events } = open(token)
  const log = (n, context = { correlationId }) => events.log.mutate({ type: 'story.live', data: { n }, ...context })
  const logged = async () => (await events.list.query({ correlationId, limit: 1000 })).reverse()
  const isEvent = (event, value) => {
    assert.deepEqual(value, { id: event.id, data: event })
    isInstant(value.data.timestamp)
  }

  await step('stream what is logged from now on', async () => {
    const reader = read(events, { correlationId })
    await reader.started
    for (const n of [1, 2, 3]) isEvent(await log(n), await reader.next())
    reader.unsubscribe()
  })

  await step('stream the backlog, then live', async () => {
    const backlog = await logged()
    assert(backlog.length > 50)
    const reader = read(events, { correlationId, start: 'beginning' })
    for (const event of backlog) isEvent(event, await reader.next())
    isEvent(await log(4), await reader.next())
    reader.unsubscribe()
  })

  await step('say when the backlog is through', async () => {
    const backlog = await logged()
    const reader = read(events, { correlationId, start: 'beginning', markers: true })
    for (const event of backlog) isEvent(event, await reader.next())
    const marker = await reader.next()
    assert.deepEqual(marker, { caughtUp: true, cursor: marker.cursor })
    assert.equal(typeof marker.cursor, 'string')
    const next = await log(5)
    isEvent(next, await reader.next())
    reader.unsubscribe()

    const resumed = read(events, { correlationId, start: marker.cursor })
    isEvent(next, await resumed.next())
    resumed.unsubscribe()
  })

  await step('resume behind an event', async () => {
    const [, , third, ...rest] = await logged()
    for (const place of [{ start: third.id }, { lastEventId: third.id }, { start: 'now', lastEventId: third.id }]) {
      const reader = read(events, { correlationId, markers: true, ...place })
      for (const event of rest) isEvent(event, await reader.next())
      assert.equal((await reader.next()).caughtUp, true)
      reader.unsubscribe()
    }
  })

  await step('stream without an input', async () => {
    const reader = read(events)
    await reader.started
    isEvent(await log(6), await reader.next())
    reader.unsubscribe()
  })

  await step('stay subscribed while nothing happens', async () => {
    const reader = read(events, { correlationId })
    await reader.started
    await new Promise((resolve) => setTimeout(resolve, IDLE_MS))
    isEvent(await log(7), await reader.next())
    reader.unsubscribe()
  })

  await step('unsubscribe one of two', async () => {
    const [gone, staying] = [read(events, { correlationId }), read(events, { correlationId, type: 'story.*' })]
    await Promise.all([gone.started, staying.started])
    isEvent(await log(8), await gone.next())
    gone.unsubscribe()
    const last = await log(9)
    assert.equal((await staying.next()).data.data.n, 8)
    isEvent(last, await staying.next())
    assert.deepEqual(gone.values, [])
    staying.unsubscribe()
  })

  await step('unsubscribe at once, and subscribe again', async () => {
    for (let turn = 0; turn < 3; turn++) read(events, { correlationId }).unsubscribe()
    const reader = read(events, { correlationId })
    await reader.started
    isEvent(await log(10), await reader.next())
    reader.unsubscribe()
  })

  await step('filter live events', async () => {
    const reader = read(events, { correlationId, causationId: UNKNOWN_ID })
    await reader.started
    await log(11)
    isEvent(await log(12, { correlationId, causationId: UNKNOWN_ID }), await reader.next())
    reader.unsubscribe()
  })

  await step('refuse a bad token of a stream', async () => {
    for (const as of ['sk_nobody_nothing', undefined]) {
      const data = await refused(read(open(as).events, { correlationId }).next(), 'UNAUTHORIZED', 401)
      assert.equal(data.path, 'events.stream')
    }
  })

  await step('refuse bad inputs of a stream', async () => {
    const wrong = { start: 5, markers: 'yes', source: 'alien', colour: 'red' }
    const { issues, path } = await refused(read(events, wrong).next(), 'BAD_REQUEST', 400)
    assert.deepEqual(issues.map((issue) => issue.path).sort(), ['colour', 'markers', 'source', 'start'])
    assert.equal(path, 'events.stream')
    for (const place of [{ start: UNKNOWN_ID }, { lastEventId: UNKNOWN_ID }, { start: 'yesterday' }]) {
      await refused(read(events, place).next(), 'BAD_REQUEST', 400)
    }
  })

  if (link === 'wsLink') {
    await step('refuse unknown streams', async () => {
      await refused(read({ stream: events.streams }).next(), 'NOT_FOUND', 404)
      await refused(read({ stream: events.list }).next(), 'NOT_FOUND', 404)
    })
  } else {
    await step('authorize a stream by a header', async () => {
      const reader = read(open(token, true).events, { correlationId })
      await reader.started
      isEvent(await log(13), await reader.next())
      reader.unsubscribe()
    })
  }
}

/**
 * Subscribes. `started` settles when the server says so, `next()` with the next value or the error, and `values` are
 * those that were not taken yet. A stream that ends by itself is an error.
 */
function read({ stream }, input) {
  const values = []
  let error
  let wake = () => {}
  let start
  const started = new Promise((resolve) => (start = resolve))
  const fail = (reason) => {
    error = reason
    start()
    wake()
  }
  const subscription = stream.subscribe(input, {
    onStarted: () => start(),
    onData: (value) => {
      values.push(value)
      wake()
    },
    onError: fail,
    onComplete: () => fail(new Error('the stream is complete')),
  })
  const next = async () => {
    const deadline = setTimeout(() => fail(new assert.AssertionError({ message: 'nothing came' })), PATIENCE_MS)
    while (values.length === 0 && error === undefined) await new Promise((resolve) => (wake = resolve))
    clearTimeout(deadline)
    if (values.length > 0) return values.shift()
    throw error
  }
  return { started, next, values, unsubscribe: () => subscription.unsubscribe() }
}
