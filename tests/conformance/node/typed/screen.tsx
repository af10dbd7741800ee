// What the pages of `tanstack.tsx` and `hooks.tsx` share: how they connect, what their address asks for, and what they show.
import { createWSClient, httpBatchLink, httpSubscriptionLink, retryLink, splitLink, type TRPCLink, wsLink } from '@trpc/client'
import { useState } from 'react'
import type { AppRouter, ErrorCode, EventType, SynapEvent } from './contract'
import { transformer } from './options.js'

const given = new URLSearchParams(location.hash.slice(1))
const url = `${given.get('url')}/trpc`
const headers = { authorization: `Bearer ${given.get('token')}` }

export const type = given.get('type') as EventType
/** Where the infinite query begins: in the middle of the list. */
export const middle = given.get('cursor')

/** A key that ends soon, so that streams are opened again with the next one. */
async function connectionParams() {
  const body = JSON.stringify({ scopes: ['events:read'], expiresInSeconds: 2 })
  const sent = { method: 'POST', headers: { ...headers, 'content-type': 'application/json' }, body }
  const { result } = await (await fetch(`${url}/keys.create`, sent)).json()
  return { token: String(result.data.token) }
}

const overSocket = (): TRPCLink<AppRouter> =>
  wsLink({ client: createWSClient({ url: url.replace('http', 'ws'), connectionParams }), ...transformer })
const overEvents: TRPCLink<AppRouter>[] = [
  retryLink({ retry: ({ error }) => error.data?.code === 'UNAUTHORIZED' }),
  httpSubscriptionLink({ url, connectionParams, ...transformer }),
]

export const links: TRPCLink<AppRouter>[] = [
  splitLink({
    condition: ({ type }) => type === 'subscription',
    true: given.get('transport') === 'ws' ? overSocket() : overEvents,
    false: httpBatchLink({ url, headers, ...transformer }),
  }),
]

const states: string[] = []
Object.assign(globalThis, { states })

export const titles = (events: SynapEvent[] = []) => events.map((event) => String(event.data['title']))

export interface Shown {
  total: number | undefined
  list: string[]
  older: (() => void) | false
  newer: (() => void) | false
  log: (title: string) => void
  state: string
  streamed: string[]
  followFromNowhere: () => void
  error: { reason?: ErrorCode; issues?: { path: string }[] } | null | undefined
}

export function Screen(shown: Shown) {
  const [title, setTitle] = useState('')
  if (shown.state !== states.at(-1)) states.push(shown.state)
  return (
    <>
      <p role="status">{shown.state}</p>
      <p role="alert">{shown.error?.reason}</p>
      <p className="paths">{shown.error?.issues?.map(({ path }) => path).join()}</p>
      <p className="total">{shown.total}</p>
      <label>
        Title <input value={title} onChange={({ target }) => setTitle(target.value)} />
      </label>
      <button onClick={() => shown.log(title)}>Log</button>
      <button disabled={!shown.older} onClick={shown.older || undefined}>Older</button>
      <button disabled={!shown.newer} onClick={shown.newer || undefined}>Newer</button>
      <button onClick={shown.followFromNowhere}>Follow from nowhere</button>
      <ul aria-label="Latest">{shown.list.map((each) => <li className="text" key={each}>{each}</li>)}</ul>
      <ol>{shown.streamed.map((each, place) => <li key={place}>{each}</li>)}</ol>
    </>
  )
}
