import { useState } from 'preact/hooks'
import { Choice, TextField } from '../../components/field'
import { Form } from '../../components/form'
import { FailureNotice } from '../../components/states'
import type { Erased } from '../../contract'
import { may, useAccess } from '../../key'
import { useAction } from '../../load'
import { to } from '../../router'
import { numberOf } from '../../shown'
import * as said from '../../text/erase'
import { words } from '../../text/erase'

type By = keyof typeof said.kinds

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
  const write = (text: string) => {
    setErased(undefined)
    change(by, text)
  }
  const failure = erase.failure ?? look.failure
  const submit = () => {
    if (count === undefined) look.run()
    else if (word === words.word) erase.run()
  }
  const isCounted = by === 'ids' || may(key, 'events:read', 'events:read-own')
  return (
    <div class="page form">
      <h1>{words.title}</h1>
      <p class="quiet-text">{words.lead}</p>
      <Form class="card group" onSubmit={submit}>
        <FailureNotice failure={failure} fields={[by]} />
        <Choice label={words.by} value={by} options={Object.entries(said.kinds)} onChoose={(kind) => change(kind as By, '')} />
        {by === 'ids' ? (
          <TextField label={said.fields.ids} hint={words.idsHint} paths={[by]} failure={failure} rows={4} required value={value} onText={write} />
        ) : (
          <TextField label={said.fields[by]} paths={[by]} failure={failure} required value={value} onText={write} />
        )}
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
              {Number.isNaN(count) ? words.unseen : by === 'ids' ? said.given(count) : said.found(count, numberOf(count))}{' '}
              {by !== 'ids' && isCounted && <a href={to(['events'], { filter: JSON.stringify(filter) })}>{words.see}</a>}
            </p>
            <TextField label={said.type(words.word)} autocomplete="off" value={word} onText={setWord} />
            <div class="actions">
              <button type="submit" class="button destroy" disabled={word !== words.word || erase.running}>
                {words.act}
              </button>
              {erase.running && <span role="status">{words.running}</span>}
            </div>
          </>
        )}
      </Form>
      {erased && <Done of={erased} />}
    </div>
  )
}

function Done({ of: { erased, events } }: { of: Erased }) {
  const { key } = useAccess()
  return (
    <p class="notice good" role="status">
      {said.done(erased, numberOf(erased))}{' '}
      {may(key, 'events:read') && events.map((id) => (
        <a key={id} href={to(['events', id])}>
          {words.record}
        </a>
      ))}
    </p>
  )
}
