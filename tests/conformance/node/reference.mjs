// The reference: the official tRPC server with our procedures, over an in-memory log, configured the way our door is.
//
//   node reference.mjs PORT [superjson]
//
// Serves HTTP and WebSockets under /trpc and prints the port it got (PORT may be 0). Takes the token `sk_reference` in
// `authorization: Bearer`, else as `token` of connectionParams, and for sockets of the URL.
import { createHash, randomUUID } from 'node:crypto'
import { EventEmitter, once } from 'node:events'
import { initTRPC, tracked, TRPCError } from '@trpc/server'
import { createHTTPServer } from '@trpc/server/adapters/standalone'
import { applyWSSHandler } from '@trpc/server/adapters/ws'
import superjson from 'superjson'
import { WebSocketServer } from 'ws'
import { z, ZodError } from 'zod'

const [port, transformer] = process.argv.slice(2)
const TOKEN = 'sk_reference'
const SOURCES = ['api', 'automation', 'sync', 'migration', 'system', 'intelligence']
const MAX_EVENT_BYTES = 1_048_576
const MAX_BODY_BYTES = 8_388_608
const MAX_BATCH_CALLS = 100
const PING_MS = 15_000
const RECONNECT_MS = 45_000
const FIRST_CALL_MS = 1000
const NEXT_CALL_MS = 100
const CURSOR = 'cursor-'

// Inputs: unknown fields are rejected, and null means absent.

const text = z.string().min(1).max(256)
const maybe = (schema) => schema.nullish().transform((value) => value ?? undefined)
const instant = z.union([z.date(), z.iso.datetime({ offset: true }).transform((value) => new Date(value))])
const share = z.number().min(0).max(1)
const eventType = z.string().max(128).regex(/^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)+$/)
const pattern = z.string().regex(/^(\*|[A-Za-z0-9_-]+)(\.(\*|[A-Za-z0-9_-]+))*$/)
const record = z.record(z.string(), z.unknown())

const ai = z.strictObject({
  agent: text,
  confidence: maybe(z.strictObject({ score: share, reasoning: maybe(z.string()) })),
  extraction: maybe(
    z.strictObject({
      extractedFrom: z.strictObject({ messageId: text, threadId: text, content: maybe(z.string()) }),
      method: z.enum(['explicit', 'implicit', 'relationship']),
    }),
  ),
})
const logEvent = z.strictObject({
  id: maybe(z.uuid()),
  type: eventType,
  subjectId: maybe(text),
  data: record,
  metadata: maybe(z.strictObject({ ai: maybe(ai), custom: maybe(record) })),
  userId: maybe(text),
  source: maybe(z.enum(SOURCES)),
  producer: maybe(text),
  correlationId: maybe(text),
  causationId: maybe(text),
  occurredAt: maybe(instant),
})
const filters = {
  type: maybe(pattern),
  source: maybe(z.enum(SOURCES)),
  hasMetadata: maybe(z.boolean()),
  subjectId: maybe(text),
  correlationId: maybe(text),
  causationId: maybe(text),
  userId: maybe(text),
  from: maybe(instant),
  to: maybe(instant),
}
const listEvents = z.strictObject({
  ...filters,
  limit: maybe(z.int().min(1).max(1000)),
  offset: maybe(z.int().min(0)),
  cursor: maybe(text),
})
const start = z.string().min(1).max(512)
const streamEvents = z.strictObject({
  ...filters,
  start: maybe(start),
  lastEventId: maybe(start),
  markers: maybe(z.boolean()),
})

// The log.

const log = []
const byId = new Map()
const growth = new EventEmitter().setMaxListeners(0)
const present = (object) => Object.fromEntries(Object.entries(object).filter(([, value]) => value !== undefined))
const hashOf = (value) => `sha256:${createHash('sha256').update(JSON.stringify(value)).digest('hex')}`

/** Appends one draft; the same id and content return the first event, and other content is a conflict. */
function append(draft) {
  if (JSON.stringify(draft).length > MAX_EVENT_BYTES) {
    throw new TRPCError({ code: 'PAYLOAD_TOO_LARGE', message: 'The event is larger than 1 MiB' })
  }
  const content = present({ ...draft, userId: draft.userId ?? 'user_reference', source: draft.source ?? 'api' })
  const stored = draft.id && byId.get(draft.id)
  if (stored) {
    if (stored.content === hashOf(content)) return stored.event
    const cause = Object.assign(new Error('conflict'), { hash: stored.event.hash })
    throw new TRPCError({ code: 'CONFLICT', message: 'The id is taken by an event with other content', cause })
  }
  const event = {
    ...content,
    id: draft.id ?? randomUUID(),
    version: 'v1',
    timestamp: new Date(),
    seq: log.length,
  }
  event.hash = hashOf(event)
  log.push(event)
  byId.set(event.id, { event, content: hashOf(content) })
  growth.emit('logged')
  return event
}

const matchesType = (wanted, type) => {
  if (wanted === undefined || wanted === '*') return true
  const parts = wanted.split('.').map((part) => (part === '*' ? '[^.]+' : part))
  if (wanted.endsWith('.*')) parts[parts.length - 1] = '.+'
  return new RegExp(`^${parts.join('\\.')}$`).test(type)
}

/** Whether an event passes the filter. */
const matches = ({ type, hasMetadata, from, to, ...rest }, event) =>
  matchesType(type, event.type) &&
  ['source', 'subjectId', 'correlationId', 'causationId', 'userId'].every(
    (name) => rest[name] === undefined || event[name] === rest[name],
  ) &&
  (hasMetadata === undefined || ('metadata' in event) === hasMetadata) &&
  (from === undefined || event.timestamp >= from) &&
  (to === undefined || event.timestamp <= to)

function page(input = {}) {
  const found = log.filter((event) => matches(input, event)).reverse()
  const start = input.cursor === undefined ? (input.offset ?? 0) : Number(input.cursor)
  const end = start + (input.limit ?? 100)
  return present({
    events: found.slice(start, end),
    total: found.length,
    nextCursor: end < found.length ? String(end) : undefined,
  })
}

/** How many events a stream skips at its start. An unknown start counts as `now`. */
function placeOf({ start, lastEventId }) {
  const wanted = lastEventId ?? start ?? 'now'
  if (wanted === 'beginning') return 0
  if (wanted.startsWith(CURSOR)) return Number(wanted.slice(CURSOR.length))
  return log.findIndex(({ id }) => id === wanted) + 1 || log.length
}

/** Yields every matching event, tracked, and the marker if it is requested, until the reader leaves. */
function follow(input, signal) {
  let place = placeOf(input)
  let markerAt = input.markers ? log.length : Infinity
  // The place is determined above, when the procedure is called: a generator runs only when its first value is requested.
  async function* events() {
    while (true) {
      for (; place < log.length; place++) {
        if (matches(input, log[place])) yield tracked(log[place].id, log[place])
      }
      if (place >= markerAt) {
        markerAt = Infinity
        yield { caughtUp: true, cursor: `${CURSOR}${place}` }
      } else {
        await once(growth, 'logged', { signal })
      }
    }
  }
  return events()
}

// The procedures.

/** Every invalid field as a dotted path; a zod issue about unknown keys names several at once. */
const issuesOf = (error) =>
  error.issues.flatMap(({ path, message, keys }) =>
    (keys ?? [undefined]).map((key) => ({ path: [...path, ...(key === undefined ? [] : [key])].join('.'), message })),
  )

const t = initTRPC.context().create({
  isDev: false,
  sse: { ping: { enabled: true, intervalMs: PING_MS }, client: { reconnectAfterInactivityMs: RECONNECT_MS } },
  ...(transformer === 'superjson' ? { transformer: superjson } : {}),
  errorFormatter: ({ shape, error: { cause } }) => ({
    ...shape,
    data: {
      ...shape.data,
      ...(cause instanceof ZodError ? { issues: issuesOf(cause) } : {}),
      ...(cause?.hash ? { hash: cause.hash } : {}),
    },
  }),
})
const { procedure } = t
const router = t.router({
  events: t.router({
    log: procedure.input(logEvent).mutation(({ input }) => append(input)),
    logBatch: procedure
      .input(z.strictObject({ events: z.array(logEvent).min(1).max(1000) }))
      .mutation(({ input }) => input.events.map(append)),
    list: procedure.input(listEvents.optional()).query(({ input }) => page(input).events),
    page: procedure.input(listEvents.optional()).query(({ input }) => page(input)),
    get: procedure.input(z.strictObject({ eventId: z.string() })).query(({ input: { eventId } }) => {
      const event = byId.get(eventId)?.event ?? log.find(({ hash }) => eventId === `evt_${hash.slice('sha256:'.length)}`)
      if (!event) throw new TRPCError({ code: 'NOT_FOUND', message: 'No such event' })
      return event
    }),
    stream: procedure.input(streamEvents.optional()).subscription(({ input = {}, signal }) => follow(input, signal)),
  }),
})

/** Settles when no message has arrived for a while. */
async function silence(socket) {
  const heard = (ms) =>
    once(socket, 'message', { signal: AbortSignal.timeout(ms) }).then(
      () => true,
      () => false,
    )
  for (let more = await heard(FIRST_CALL_MS); more; more = await heard(NEXT_CALL_MS));
}

/** Authenticates the caller. A socket is rejected after its client's last message, as if a database were asked meanwhile. */
async function createContext({ req, res, info }) {
  const isSocket = req.headers.upgrade === 'websocket'
  const inUrl = isSocket ? new URL(req.url, 'http://localhost').searchParams.get('token') : undefined
  const [, bearer] = /^Bearer (.+)$/.exec(req.headers.authorization ?? '') ?? []
  if ((bearer ?? info.connectionParams?.token ?? inUrl) === TOKEN) return {}
  if (isSocket) await silence(res)
  throw new TRPCError({ code: 'UNAUTHORIZED', message: 'A valid token is needed' })
}

const server = createHTTPServer({
  router,
  basePath: '/trpc/',
  createContext,
  allowMethodOverride: true,
  maxBatchSize: MAX_BATCH_CALLS,
  maxBodySize: MAX_BODY_BYTES,
})
const sockets = { wss: new WebSocketServer({ server }), prefix: '/trpc', router, createContext }
applyWSSHandler({ ...sockets, maxBatchSize: MAX_BATCH_CALLS })
server.listen(Number(port), '127.0.0.1', () => console.log(server.address().port))
