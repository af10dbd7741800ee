'use client'
import { createSynap, toFieldErrors } from '@synap/client'
import { useLiveEvents, useLogEvent } from '@synap/client/react'
import { type FormEvent, useState } from 'react'
import type { AppRouter, EventPage } from '../contract'
import { FILTER, LIMIT } from './filter'

const STATES = { connecting: 'Connecting…', live: 'Live', lost: 'Connection lost, trying again…', refused: 'Refused' }

/** The same text in the server's answer and in the browser, whatever its place and language. */
const minute = (timestamp: string) => `${timestamp.slice(0, 16).replace('T', ' ')} UTC`

const api = createSynap<AppRouter>({
  url: process.env.NEXT_PUBLIC_SYNAP_URL ?? 'http://127.0.0.1:8000',
  async token() {
    const answer = await fetch('/key', { method: 'POST' })
    if (!answer.ok) throw new Error(await answer.text())
    return answer.text()
  },
})

export function Notes({ page }: { page: EventPage }) {
  const { events, state, liveError, hasNextPage, isFetchingNextPage, fetchNextPage } = useLiveEvents(api, FILTER, {
    limit: LIMIT,
    initialPage: page,
  })
  return (
    <>
      <NoteForm />
      <p role="status" data-state={state}>
        {state === 'refused' ? liveError?.message : STATES[state]}
      </p>
      {events.length === 0 && <p className="empty">No notes yet. The first one appears here.</p>}
      <ol aria-label="Latest">
        {events.map((event) => (
          <li key={event.id} data-pending={event.pending}>
            <span className="text">{event.erased ? '(erased)' : String(event.data['text'] ?? event.type)}</span>
            <time dateTime={event.timestamp}>{event.pending ? 'logging…' : minute(event.timestamp)}</time>
          </li>
        ))}
      </ol>
      {hasNextPage && (
        <button disabled={isFetchingNextPage} onClick={() => fetchNextPage()}>
          Show older notes
        </button>
      )}
    </>
  )
}

function NoteForm() {
  const [text, setText] = useState('')
  const log = useLogEvent(api)
  const errors = toFieldErrors(log.error)

  function submit(event: FormEvent) {
    event.preventDefault()
    log.mutate({ type: 'note.created', data: { text } }, { onSuccess: () => setText((now) => (now === text ? '' : now)) })
  }

  return (
    <form onSubmit={submit}>
      <label>
        New note
        <input value={text} required onChange={(event) => setText(event.target.value)} />
      </label>
      <button className="primary">Log note</button>
      {log.error && <p role="alert">{errors['data.text'] ?? log.error.message}</p>}
    </form>
  )
}
