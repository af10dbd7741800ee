// A typed client, as a frontend writes one: it compiles under the strictest settings and runs. Usage: client.js URL TOKEN
import { createTRPCClient, httpBatchLink, httpLink, splitLink, TRPCClientError } from '@trpc/client'
import type { inferRouterInputs, inferRouterOutputs } from '@trpc/server'
import type { AppRouter, ErrorCode, EventFilter, EventOrderBy, EventOrderField, LiveEventFilter } from './contract'
import { type Instant, instant, transformer } from './options.js'

type Inputs = inferRouterInputs<AppRouter>
type Outputs = inferRouterOutputs<AppRouter>
type Event = Outputs['events']['log']
type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false

const sameEvent: Same<Event, Outputs['events']['get']> = true
const listOfEvents: Same<Event[], Outputs['events']['list']> = true
const batchOfEvents: Same<Event[], Outputs['events']['logBatch']> = true

const [url = '', token = ''] = process.argv.slice(2)
const target = { url: `${url}/trpc`, headers: { authorization: `Bearer ${token}` }, ...transformer }

export const client = createTRPCClient<AppRouter>({
  links: [splitLink({ condition: ({ path }) => path.endsWith('.get'), true: httpBatchLink(target), false: httpLink(target) })],
})

function check(holds: boolean, what: string): asserts holds {
  if (!holds) throw new Error(what)
}

const byAi: Inputs['events']['log'] = {
  type: 'entity.created',
  subjectId: 'entity-456',
  source: 'intelligence',
  data: { type: 'task', title: 'Call John', tags: ['a', 1, null, { deep: true }] },
  metadata: {
    ai: {
      agent: 'orchestrator',
      confidence: { score: 0.92, reasoning: 'said so' },
      extraction: { extractedFrom: { messageId: 'msg-123', threadId: 'thread-456' }, method: 'explicit' },
    },
  },
}

const logged: Event = await client.events.log.mutate(byAi)
const id: string = logged.id
const schema: 'v1' = logged.version
const seq: number = logged.seq
const hash: string = logged.hash
const user: string = logged.userId
const at: Instant = logged.timestamp
const subject: string | undefined = logged.subjectId
const cause: string | undefined = logged.causationId
const source: 'api' | 'automation' | 'sync' | 'migration' | 'system' | 'intelligence' = logged.source
const agent: string | undefined = logged.metadata?.ai?.agent
const score: number | undefined = logged.metadata?.ai?.confidence?.score
check(schema === 'v1' && seq >= 0 && hash.startsWith('sha256:') && user !== '', 'an event has its place and hash')
check(subject === 'entity-456' && cause === undefined && source === 'intelligence', 'an event keeps what was sent')
check(agent === 'orchestrator' && score === 0.92, 'metadata is typed')
check(!Number.isNaN(new Date(at).getTime()), 'a timestamp is an instant')

const minimal = await client.events.log.mutate({ type: 'note.made', data: {} })
check(minimal.metadata === undefined, 'unset fields are absent')

const [one, two] = await client.events.logBatch.mutate({ events: [{ type: 'note.made', data: { n: 1 } }, byAi] })
check(one?.data['n'] === 1 && two?.metadata?.ai?.agent === 'orchestrator', 'a batch is answered in order')

const listed = await client.events.list.query({ limit: 10, offset: 0, source: 'intelligence', hasMetadata: true })
check(listed[0]?.id === two.id, 'lists are newest first')
const newest = (await client.events.list.query())[0]
check(newest?.seq === two.seq, 'a list needs no input')

const page = await client.events.page.query({ limit: 1, type: 'entity.*', from: instant(new Date(0)) })
const total: number = page.total
const next: string | undefined = page.nextCursor
check(total >= 2 && next !== undefined && page.events.length === 1, 'a page has a total and a cursor')
const rest = await client.events.page.query({ limit: 1, type: 'entity.*', from: instant(new Date(0)), cursor: next })
check(rest.events[0]?.id === id, 'a cursor goes on where the page ended')

const effect = await client.events.log.mutate({ type: 'note.made', causationId: id, data: { title: 'Call back', n: 2 } })
const typedFields: LiveEventFilter = {
  id: { in: [id, effect.id] },
  source: 'intelligence',
  seq: { gte: seq, lt: seq + 1000 },
  createdAt: { gte: instant(new Date(0)) },
  'metadata.ai.agent': { startsWith: 'orch' },
  'metadata.ai.confidence.score': { gt: 0.9, lte: 1 },
  'metadata.ai.extraction.method': { nin: ['implicit', 'relationship'] },
  'metadata.ai.reasoning.durationMs': null,
  'metadata.sync.offline': { ne: true },
  'metadata.import.importedAt': { isNull: true },
  'metadata.custom.any.member': null,
}
const anyOf: EventFilter = {
  OR: [typedFields, { parent: { some: { id, NOT: { hash: { ne: hash } } } }, 'data.n': { lt: 3 }, 'data.title': { like: '*back' } }],
  AND: [{ children: { none: { type: 'entity.deleted' } } }, { metadata: { isNull: false } }, { data: { isNull: false } }],
  id: { ne: null },
}
const column: EventOrderField = 'metadata.ai.confidence.score'
const chosen = 'createdAt' as EventOrderField // as a user chose it
const order: EventOrderBy[] = [{ [column]: 'desc_nulls_last' }, { [chosen]: 'asc' }]
const browsed = await client.events.browse.query({ filter: typedFields, orderBy: order })
check(browsed.data.map((each) => each.id).join() === id && browsed.pageInfo.total === 1, 'a filter finds by typed fields')
const either = await client.events.browse.query({ filter: { ...anyOf, AND: [] }, orderBy: [{ seq: 'desc' }], limit: 2 })
check(either.data.map((each) => each.id).join() === [effect.id, id].join(), 'relations and free paths are found and ordered')
const neither = await client.events.browse.query({ filter: { NOT: anyOf, id: { in: [id, effect.id] } } })
check(neither.data.map((each) => each.parentId).join() === id, 'filters nest')

interface Task {
  title: string
  due?: string
}
const task: Task = { title: 'Call John' }
const copied = await client.events.log.mutate({
  type: logged.type,
  subjectId: logged.subjectId,
  causationId: logged.causationId,
  data: task,
  metadata: logged.metadata,
})
check(copied.data['title'] === task.title && copied.metadata?.ai?.agent === agent, 'what is read can be logged')

const made = await client.keys.create.mutate({ userId: 'ann', scopes: ['events:read-own'], expiresInSeconds: 60 })
const ends: Instant | undefined = made.expiresAt
const scopes: NonNullable<Inputs['keys']['create']['scopes']> = made.scopes
check(made.token.split('_')[1] === made.id && ends !== undefined && scopes.length === 1, 'a new key has its token')
const rotated = await client.keys.rotate.mutate({ keyId: made.id, graceSeconds: 60 })
const ended = await client.keys.revoke.mutate({ keyId: made.id })
const revokedAt: Instant | undefined = ended.revokedAt
check(rotated.id !== made.id && revokedAt !== undefined && !('token' in ended), 'a key is replaced and ended')
const { keys, nextCursor } = await client.keys.list.query({})
const more: string | undefined = nextCursor
check(more === undefined && keys.some((key) => key.id === rotated.id), 'keys are listed')

const [again, refused] = await Promise.allSettled([
  client.events.get.query({ eventId: id }),
  client.events.get.query({ eventId: '00000000-0000-4000-8000-000000000000' }),
])
check(again.status === 'fulfilled' && again.value.hash === hash, 'an event is found by id')
check(refused.status === 'rejected', 'an unknown id is refused')
const reason: unknown = refused.reason
check(reason instanceof TRPCClientError, 'a refusal is an error of the client')
const { data } = reason as TRPCClientError<AppRouter>
const code: string | undefined = data?.code
const status: number | undefined = data?.httpStatus
const issues: readonly { path: string; message: string }[] | undefined = data?.issues
const published: ErrorCode | undefined = data?.reason
check(code === 'NOT_FOUND' && status === 404 && issues === undefined && published === 'not_found', 'errors are typed')

console.log(JSON.stringify({ sameEvent, listOfEvents, batchOfEvents, id, total }))
