// Typed readers of events.stream, by both links, with and without markers. Usage: stream.js URL TOKEN
import { createTRPCClient, createWSClient, httpBatchLink, httpSubscriptionLink, splitLink, wsLink } from '@trpc/client'
import type { inferRouterInputs, inferRouterOutputs } from '@trpc/server'
import { EventSource } from 'eventsource'
import WebSocket from 'ws'
import type { AppRouter, CaughtUp, LiveEventFilter, StreamEvents, SynapEvent } from './contract'
import { type Instant, instant, transformer } from './options.js'

type Marked = AppRouter<{ markers: true }>
type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false
type Tracked = { id: string; data: SynapEvent }

const sameRouter: Same<AppRouter, AppRouter<{ markers: false }>> = true
const values: Same<inferRouterOutputs<AppRouter>['events']['stream'], AsyncIterable<Tracked>> = true
const valuesAndMarkers: Same<inferRouterOutputs<Marked>['events']['stream'], AsyncIterable<Tracked | CaughtUp>> = true
const onlyTheStream: Same<inferRouterOutputs<Marked>['events']['page'], inferRouterOutputs<AppRouter>['events']['page']> = true
const plainInput: Same<inferRouterInputs<AppRouter>['events']['stream'], StreamEvents | void> = true
const markedInput: Same<inferRouterInputs<Marked>['events']['stream']['markers'], true> = true

const [server = '', token = ''] = process.argv.slice(2)
const url = `${server}/trpc`
const connectionParams = { token }
export const open = () => createWSClient({ url: url.replace('http', 'ws'), WebSocket, connectionParams })
const sockets = open()

const overSse = createTRPCClient<AppRouter>({
  links: [
    splitLink({
      condition: ({ type }) => type === 'subscription',
      true: httpSubscriptionLink({ url, connectionParams, EventSource, ...transformer }),
      false: httpBatchLink({ url, headers: { authorization: `Bearer ${token}` }, ...transformer }),
    }),
  ],
})
const overSocket = createTRPCClient<AppRouter>({ links: [wsLink({ client: sockets, ...transformer })] })
export const plain = { 'SSE': overSse, 'WebSocket': overSocket }
export const marked = {
  'SSE': createTRPCClient<Marked>({ links: [httpSubscriptionLink({ url, connectionParams, EventSource, ...transformer })] }),
  'WebSocket': createTRPCClient<Marked>({ links: [wsLink({ client: sockets, ...transformer })] }),
}

function check(holds: boolean, what: string): asserts holds {
  if (!holds) throw new Error(what)
}

const subjectId = crypto.randomUUID()
const logged = await overSse.events.log.mutate({ type: 'note.made', subjectId, data: { title: 'streamed' } })
const asked: LiveEventFilter = { OR: [{ 'data.title': { startsWith: 'stream' } }], NOT: { createdAt: instant(new Date(0)) } }
export const filter: StreamEvents = { type: 'note.*', source: 'api', subjectId, start: 'beginning', from: instant(new Date(0)), filter: asked }

export function isLogged({ id, data: event }: Tracked): void {
  const at: Instant = event.timestamp
  const title: unknown = event.data['title']
  check(id === logged.id && event.seq === logged.seq && title === 'streamed', 'the value is the event')
  check(typeof at === typeof instant(new Date()) && `${at}` === `${logged.timestamp}`, 'instants are as in other answers')
}

for (const [way, { events }] of Object.entries(plain)) {
  await new Promise<void>((resolve, reject) => {
    const subscription = events.stream.subscribe(
      { ...filter, markers: false },
      {
        onData: (value) => {
          const same: Same<typeof value, Tracked> = true
          check(same, 'there are only values')
          isLogged(value)
          subscription.unsubscribe()
          resolve()
        },
        onError: (error) => {
          const code: string | undefined = error.data?.code
          reject(new Error(`${way}: ${code}`))
        },
      },
    )
  })
}

for (const [way, { events }] of Object.entries(marked)) {
  const seen = await new Promise<string[]>((resolve, reject) => {
    const seen: string[] = []
    const subscription = events.stream.subscribe(
      { ...filter, markers: true },
      {
        onData: (value) => {
          const same: Same<typeof value, Tracked | CaughtUp> = true
          check(same, 'there are values and markers')
          if ('id' in value) {
            isLogged(value)
            seen.push(value.data.type)
          } else {
            const caughtUp: true = value.caughtUp
            const cursor: string = value.cursor
            check(caughtUp && cursor !== '', 'a marker says where the stream is')
            subscription.unsubscribe()
            resolve(seen)
          }
        },
        onError: (error) => reject(new Error(`${way}: ${error.data?.code}`)),
      },
    )
  })
  check(seen.join() === 'note.made', 'the marker stands behind what was logged before')
}

// A stream of everything from now on needs no input.
overSse.events.stream.subscribe(undefined, { onData: ({ data }) => data.id }).unsubscribe()

await sockets.close()
console.log(JSON.stringify({ sameRouter, values, valuesAndMarkers, onlyTheStream, plainInput, markedInput }))
