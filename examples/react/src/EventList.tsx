import type { FilterOf, FollowState } from '@synap/client'
import { type ListedEvent, useLiveEvents } from '@synap/client/react'
import { useEffect, useRef } from 'react'
import { api } from './api'

const STATES: Record<FollowState, string> = {
  connecting: 'Connecting…',
  live: 'Live',
  lost: 'Connection lost, trying again…',
  refused: 'Refused',
}
const PAGE = 30
const WHEN = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'medium' })

export function EventList({ filter }: { filter: FilterOf<typeof api> }) {
  const list = useLiveEvents(api, filter, { limit: PAGE })
  const { state, liveError, error, hasNextPage, isFetchingNextPage, fetchNextPage } = list
  const failure = error ?? (state === 'refused' ? liveError : null)
  return (
    <section aria-labelledby="latest">
      <div className="bar">
        <h2 id="latest">Latest</h2>
        <p className="state" role="status" data-state={error ? 'lost' : state}>
          {error ? 'The server cannot be reached' : STATES[state]}
        </p>
      </div>
      {failure && <p role="alert">{failure.message}</p>}
      {!list.isPending && list.events.length === 0 && (
        <p className="empty">No event matches yet. The first one appears here.</p>
      )}
      <ol aria-label="Latest" aria-busy={list.isPending}>
        {list.events.map((event) => (
          <Row key={event.id} event={event} />
        ))}
      </ol>
      {hasNextPage && <More isLoading={isFetchingNextPage} load={() => void fetchNextPage()} />}
    </section>
  )
}

function Row({ event }: { event: ListedEvent<typeof api> }) {
  const ai = event.metadata?.ai
  const score = ai?.confidence?.score
  const title = event.data['title'] ?? event.data['text']
  const text = typeof title === 'string' ? title : JSON.stringify(event.data)
  const when = `#${event.seq} · ${WHEN.format(new Date(event.timestamp))}`
  return (
    <li data-pending={event.pending}>
      <p className="text">{event.erased ? '(erased)' : text}</p>
      <p className="about">
        <span className="type">{event.type}</span>
        {event.subjectId && <span>{event.subjectId}</span>}
        {ai && <span>{score === undefined ? ai.agent : `${ai.agent} ${Math.round(score * 100)} %`}</span>}
        <time dateTime={event.timestamp}>{event.pending ? 'logging…' : when}</time>
      </p>
    </li>
  )
}

/** Loads the next page as soon as it is scrolled to. The button is for keyboards. */
function More({ isLoading, load }: { isLoading: boolean; load: () => void }) {
  const button = useRef<HTMLButtonElement>(null)
  useEffect(() => {
    if (!button.current || isLoading) return undefined
    const observer = new IntersectionObserver(([entry]) => entry?.isIntersecting && load(), { rootMargin: '300px' })
    observer.observe(button.current)
    return () => observer.disconnect()
  }, [isLoading, load])
  return (
    <button ref={button} className="more" disabled={isLoading} onClick={load}>
      {isLoading ? 'Loading…' : 'Older events'}
    </button>
  )
}
