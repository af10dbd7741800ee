import { useState } from 'preact/hooks'
import { Field } from '../../components/field'
import { FailureNotice } from '../../components/states'
import type { Erased } from '../../contract'
import { may, useAccess } from '../../key'
import { useAction } from '../../load'
import { to } from '../../router'
import { numberOf } from '../../shown'
import * as words from '../../text/erase'

type By = keyof typeof words.kinds

/** Erase events: by user, subject or ids, after a look at how many they are, and a word typed. */
export function EraseScreen() {
  const { api, key } = useAccess()
  const [by, setBy] = useState<By>('userId')
  const [value, setValue] = useState('')
  const [word, setWord] = useState('')
  const [count, setCount] = useState<number>()
  const [erased, setErased] = useState<Erased>()
  const ids = value.split(/[\s,]+/).filter(Boolean)
  const filter = { [by]: value.trim() }
  const look = useAction(async () => {
    setCount(by === 'ids' ? ids.length : (await api.events.page.query({ filter, limit: 1 })).total)
  })
  const erase = useAction(async () => {
    const wanted = by === 'userId' ? { userId: value.trim() } : by === 'subjectId' ? { subjectId: value.trim() } : { ids }
    setErased(await api.events.erase.mutate(wanted))
    change(by, '')
  })
  const change = (kind: By, given: string) => {
    setBy(kind)
    setValue(given)
    setCount(undefined)
    setWord('')
  }
  const write = (input: { currentTarget: { value: string } }) => {
    setErased(undefined)
    change(by, input.currentTarget.value)
  }
  const failure = erase.failure ?? look.failure
  const submit = (event: Event) => {
    event.preventDefault()
    if (count === undefined) look.run()
    else if (word === words.word) erase.run()
  }
  const isCounted = by === 'ids' || may(key, 'events:read', 'events:read-own')
  return (
    <div class="page form">
      <h1>{words.title}</h1>
      <p class="quiet-text">{words.lead}</p>
      <form class="card group" onSubmit={submit}>
        {failure && <FailureNotice failure={failure} fields={[by]} />}
        <Field label={words.by}>
          {(control) => (
            <select {...control} value={by} onChange={(event) => change(event.currentTarget.value as By, '')}>
              {Object.entries(words.kinds).map(([kind, name]) => (
                <option key={kind} value={kind}>
                  {name}
                </option>
              ))}
            </select>
          )}
        </Field>
        <Field label={words.fields[by]} hint={by === 'ids' ? words.idsHint : undefined} paths={[by]} failure={failure}>
          {(control) =>
            by === 'ids' ? (
              <textarea {...control} rows={4} required spellcheck={false} value={value} onInput={write} />
            ) : (
              <input {...control} required spellcheck={false} value={value} onInput={write} />
            )
          }
        </Field>
        {count === undefined ? (
          <div class="actions">
            {isCounted ? (
              <button type="submit" class="button primary" disabled={look.running}>
                {words.look}
              </button>
            ) : (
              <button type="button" class="button" disabled={!value.trim()} onClick={() => setCount(NaN)}>
                {words.act}
              </button>
            )}
          </div>
        ) : (
          <>
            <p class="notice warn" role="status">
              {Number.isNaN(count) ? words.unseen : by === 'ids' ? words.given(count) : words.found(count, numberOf(count))}{' '}
              {by !== 'ids' && isCounted && <a href={to(['events'], { filter: JSON.stringify(filter) })}>{words.see}</a>}
            </p>
            <Field label={words.type(words.word)}>
              {(control) => <input {...control} value={word} autocomplete="off" spellcheck={false} onInput={(event) => setWord(event.currentTarget.value)} />}
            </Field>
            <div class="actions">
              <button type="submit" class="button destroy" disabled={word !== words.word || erase.running}>
                {words.act}
              </button>
              {erase.running && <span role="status">{words.running}</span>}
            </div>
          </>
        )}
      </form>
      {erased && <Done of={erased} />}
    </div>
  )
}

function Done({ of: { erased, events } }: { of: Erased }) {
  const { key } = useAccess()
  return (
    <p class="notice good" role="status">
      {words.done(erased, numberOf(erased))}{' '}
      {may(key, 'events:read') && events.map((id) => (
        <a key={id} href={to(['events', id])}>
          {words.record}
        </a>
      ))}
    </p>
  )
}
