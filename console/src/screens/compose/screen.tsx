import { useEffect, useState } from 'preact/hooks'
import type { Failure } from '../../api'
import { Form } from '../../components/form'
import { isWhole, JsonField } from '../../components/json-field'
import { SchemaForm } from '../../components/schema-form'
import { FailureNotice, Loaded, LoadNotice } from '../../components/states'
import { Visible } from '../../components/visible'
import type { LogEvent, SynapEvent, Validation } from '../../contract'
import { may, useAccess } from '../../key'
import { useAction, useLoad } from '../../load'
import { to } from '../../router'
import { bytesOf } from '../../shown'
import type { Schema } from '../../skeleton'
import * as said from '../../text/compose'
import { words } from '../../text/compose'

const SETTLED_MS = 300

/** Log one event. Its form is that of the input of `events.log`, with what developers registered. */
export function ComposeScreen() {
  const { api, key } = useAccess()
  const load = useLoad('procedures', (signal) => api.procedures.list.query(undefined, { signal }))
  const [logged, setLogged] = useState<SynapEvent>()
  if (logged) return <Logged event={logged} onAgain={() => setLogged(undefined)} />
  return (
    <div class="page form">
      <h1>{words.title}</h1>
      <p class="quiet-text">{words.lead}</p>
      <Loaded load={load}>
        {(procedures) => {
          const { properties: { userId, ...others } = {}, ...schema } = procedures.find(({ name }) => name === 'events.log')?.input as Schema
          const properties = may(key, 'events:write-as') && userId ? { ...others, userId } : others
          return <Compose schema={{ ...schema, properties }} onLogged={setLogged} />
        }}
      </Loaded>
    </div>
  )
}

/** The form, and what the server would do with the event while it is written. */
function Compose({ schema, onLogged }: { schema: Schema; onLogged: (event: SynapEvent) => void }) {
  const { api, workspace } = useAccess()
  const [value, setValue] = useState<unknown>({ type: '', data: {} })
  const draft = isWhole(value) && (value as LogEvent | undefined)?.type ? (value as LogEvent) : undefined
  const wanted = useSettled(draft && JSON.stringify(draft))
  const load = useLoad(wanted && `${workspace} ${wanted}`, (signal) => api.events.validate.mutate(JSON.parse(wanted ?? '') as LogEvent, { signal }))
  const found = draft && !load.loading ? load.value : undefined
  const log = useAction(async () => draft && onLogged(await api.events.log.mutate(draft)))
  const failure = log.failure ?? (found && failureIn(found))
  const change = (next: unknown) => {
    log.clear()
    setValue(next)
  }
  return (
    <Form class="card group" onSubmit={log.run} novalidate>
      <SchemaForm schema={schema} root={schema} value={value} path="" failure={failure} onChange={change} />
      <JsonField label={words.json} hint={words.jsonHint} rows={8} value={value} onChange={change} />
      <FailureNotice failure={log.failure} hasFields />
      {draft && <LoadNotice load={load} />}
      {found && <Judged of={found} />}
      <div class="actions">
        <button type="submit" class="button primary" disabled={!found?.valid || log.running}>
          {words.log}
        </button>
      </div>
    </Form>
  )
}

function Judged({ of }: { of: Validation }) {
  return (
    <div class={`notice ${of.valid ? 'good' : 'bad'}`} role="status">
      <div>
        <strong>{of.valid ? (of.stored ? words.stored : words.valid) : words.invalid}</strong>
        {of.valid && (
          <p>
            <Visible>{`${said.size(bytesOf(of.sentBytes ?? 0), bytesOf(of.maxBytes))}; ${said.of(of.userId ?? '', of.source ?? '')}.`}</Visible>{' '}
            {of.subscriptionCount !== undefined && said.told(of.subscriptionCount)}
          </p>
        )}
      </div>
    </div>
  )
}

function Logged({ event: { id, type }, onAgain }: { event: SynapEvent; onAgain: () => void }) {
  const { key } = useAccess()
  return (
    <div class="page form">
      <h1>{words.title}</h1>
      <p class="notice good" role="status">
        <span>
          {words.logged} <Visible>{type}</Visible> {may(key, 'events:read', 'events:read-own') ? <a href={to(['events', id])}>{id}</a> : <code>{id}</code>}
        </span>
      </p>
      <div class="actions">
        <button type="button" class="button primary" onClick={onAgain}>
          {words.again}
        </button>
      </div>
    </div>
  )
}

const failureIn = ({ issues }: Validation): Failure => ({ kind: 'refused', message: '', issues })

/** A value, once it has stayed the same for a moment. */
function useSettled<T>(value: T): T {
  const [settled, setSettled] = useState(value)
  useEffect(() => {
    const timer = setTimeout(() => setSettled(value), SETTLED_MS)
    return () => clearTimeout(timer)
  }, [value])
  return settled
}
