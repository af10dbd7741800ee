import { useDeferredValue, useState, useSyncExternalStore } from 'react'
import { keysIssued } from './api'
import { EventForm } from './EventForm'
import { EventList } from './EventList'

const TYPES = ['', 'note.*', 'task.*', 'order.*']
const PATTERN = /^(\*|[\w-]+)(\.(\*|[\w-]+))*$/

export function App() {
  const [type, setType] = useState('')
  const [subjectId, setSubjectId] = useState('')
  const filter = useDeferredValue(
    JSON.stringify({ type: PATTERN.test(type) ? type : null, subjectId: subjectId.trim() || null }),
  )
  return (
    <main>
      <header>
        <h1>Events</h1>
        <Keys />
      </header>
      <EventForm />
      <form className="filters" aria-label="Filters" onSubmit={(event) => event.preventDefault()}>
        <label>
          Show types
          <input list="types" value={type} placeholder="every type" onChange={(event) => setType(event.target.value)} />
        </label>
        <datalist id="types">
          {TYPES.map((each) => (
            <option key={each} value={each} />
          ))}
        </datalist>
        <label>
          Show subject
          <input value={subjectId} placeholder="every subject" onChange={(event) => setSubjectId(event.target.value)} />
        </label>
      </form>
      <EventList key={filter} filter={JSON.parse(filter)} />
    </main>
  )
}

function Keys() {
  const count = useSyncExternalStore(
    (changed) => {
      keysIssued.changed = changed
      return () => {}
    },
    () => keysIssued.count,
  )
  return (
    <p className="keys" title="Each key lives for a minute; the client renews it">
      {count === 1 ? '1 key so far' : `${count} keys so far`}
    </p>
  )
}
