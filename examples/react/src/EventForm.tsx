import { toFieldErrors } from '@synap/client'
import { type DraftOf, useLogEvent } from '@synap/client/react'
import { type FormEvent, useState } from 'react'
import { api } from './api'

const FIELDS = {
  type: 'type',
  title: 'data.title',
  subject: 'subjectId',
  agent: 'metadata.ai.agent',
  score: 'metadata.ai.confidence.score',
}

const EMPTY = { type: 'note.created', title: '', subject: '', agent: '', score: '' }

export function EventForm() {
  const [values, setValues] = useState(EMPTY)
  const log = useLogEvent(api)
  const errors = toFieldErrors(log.error)
  const isElsewhere = log.error !== null && !Object.values(FIELDS).some((path) => errors[path])

  function submit(event: FormEvent) {
    event.preventDefault()
    log.mutate(draftOf(values), {
      onSuccess: () => setValues((now) => (now === values ? { ...EMPTY, type: now.type } : now)),
    })
  }

  const field = (name: keyof typeof FIELDS, label: string, more: object = {}) => {
    const error = errors[FIELDS[name]]
    return (
      <label>
        {label}
        <input
          {...more}
          value={values[name]}
          aria-invalid={error !== undefined}
          aria-describedby={`${name}-error`}
          onChange={(event) => setValues({ ...values, [name]: event.target.value })}
        />
        <span className="error" id={`${name}-error`}>
          {error}
        </span>
      </label>
    )
  }

  return (
    <form className="log" aria-label="New event" onSubmit={submit} noValidate>
      {field('type', 'Event type')}
      {field('title', 'Title', { autoFocus: true })}
      {field('subject', 'About')}
      {field('agent', 'Agent')}
      {field('score', 'Confidence', { inputMode: 'decimal', placeholder: '0 to 1' })}
      <button className="primary">Log event</button>
      {isElsewhere && <p role="alert">{log.error?.message}</p>}
    </form>
  )
}

function draftOf({ type, title, subject, agent, score }: typeof EMPTY): DraftOf<typeof api> {
  const ai = { agent, ...(score ? { confidence: { score: Number(score.replace(',', '.')) } } : {}) }
  // What a person wrote may be no type: the server says so at the field.
  return { type: type as DraftOf<typeof api>['type'], subjectId: subject || null, data: { title }, metadata: agent || score ? { ai } : null }
}
