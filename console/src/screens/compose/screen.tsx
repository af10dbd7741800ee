import { useEffect, useState } from 'preact/hooks'
import type { Failure } from '../../api'
import { Field } from '../../components/field'
import { FailureNotice, LoadNotice } from '../../components/states'
import { Visible } from '../../components/visible'
import type { LogEvent, SynapEvent, Validation } from '../../contract'
import { may, useAccess } from '../../key'
import { useAction, useLoad } from '../../load'
import { to } from '../../router'
import { bytesOf } from '../../shown'
import { skeleton } from '../../skeleton'
import * as words from '../../text/compose'
import * as eventWords from '../../text/event'
import * as eventsWords from '../../text/events'

const SETTLED_MS = 300
const TEXTS = [
  ['subjectId', eventsWords.subject],
  ['correlationId', eventsWords.correlation],
  ['causationId', eventWords.cause],
] as const

type Written = Record<'type' | 'subjectId' | 'correlationId' | 'causationId' | 'userId' | 'data' | 'metadata', string>
const EMPTY: Written = { type: '', subjectId: '', correlationId: '', causationId: '', userId: '', data: '{}', metadata: '' }
const FIELDS = Object.keys(EMPTY)

/** Log one event. The server judges it while it is written. */
export function ComposeScreen() {
  const { api, key, workspace } = useAccess()
  const [written, setWritten] = useState(EMPTY)
  const [logged, setLogged] = useState<SynapEvent>()
  const [data, metadata] = [objectIn(written.data || '{}'), objectIn(written.metadata)]
  const draft = data && metadata !== null && written.type ? draftOf(written, data, metadata) : undefined
  const wanted = useSettled(draft && JSON.stringify(draft))
  const load = useLoad(wanted && `${workspace} ${wanted}`, (signal) => api.events.validate.mutate(JSON.parse(wanted ?? '') as LogEvent, { signal }))
  const found = draft && !load.loading ? load.value : undefined
  const log = useAction(async () => draft && setLogged(await api.events.log.mutate(draft)))
  const failure = log.failure ?? (found && failureIn(found))
  const at = (name: keyof Written) => ({ paths: [name], failure })
  const input = (name: keyof Written) => ({
    value: written[name],
    spellcheck: false,
    onInput: (event: { currentTarget: { value: string } }) => {
      log.clear()
      setWritten({ ...written, [name]: event.currentTarget.value })
    },
  })
  const submit = (event: Event) => {
    event.preventDefault()
    log.run()
  }
  if (logged) return <Logged event={logged} onAgain={() => setLogged(undefined)} />
  return (
    <div class="page form">
      <h1>{words.title}</h1>
      <p class="quiet-text">{words.lead}</p>
      <form class="card group" onSubmit={submit} novalidate>
        <Field label={eventsWords.type} {...at('type')}>
          {(control) => <input {...control} {...input('type')} class="mono" />}
        </Field>
        <Field label={words.data} hint={data ? words.dataHint : words.notObject} {...at('data')}>
          {(control) => <textarea {...control} {...input('data')} rows={8} aria-invalid={!data || control['aria-invalid']} />}
        </Field>
        <Field label={words.metadata} hint={metadata === null ? words.notObject : words.metadataHint} {...at('metadata')}>
          {(control) => <textarea {...control} {...input('metadata')} rows={5} aria-invalid={metadata === null || control['aria-invalid']} />}
        </Field>
        {metadata !== null && <Kinds onChoose={(name, value) => setWritten({ ...written, metadata: JSON.stringify({ ...metadata, [name]: value }, null, 2) })} />}
        <div class="columns">
          {TEXTS.map(([name, label]) => (
            <Field key={name} label={label} {...at(name)}>
              {(control) => <input {...control} {...input(name)} />}
            </Field>
          ))}
          {may(key, 'events:write-as') && (
            <Field label={words.user} hint={words.userHint} {...at('userId')}>
              {(control) => <input {...control} {...input('userId')} />}
            </Field>
          )}
        </div>
        {log.failure && <FailureNotice failure={log.failure} fields={FIELDS} />}
        {draft && <LoadNotice load={load} />}
        {found && <Judged of={found} />}
        <div class="actions">
          <button type="submit" class="button primary" disabled={!found?.valid || log.running}>
            {words.log}
          </button>
        </div>
      </form>
    </div>
  )
}

function Judged({ of }: { of: Validation }) {
  const others = of.issues.filter(({ path }) => !FIELDS.includes(path.split('.')[0] ?? ''))
  return (
    <div class={`notice ${of.valid ? 'good' : 'bad'}`} role="status">
      <div>
        <strong>{of.valid ? (of.stored ? words.stored : words.valid) : words.invalid}</strong>
        {others.map(({ path, message }) => (
          <p key={path}>
            <Visible>{`${path} ${message}`}</Visible>
          </p>
        ))}
        {of.valid && (
          <p>
            <Visible>{`${words.size(bytesOf(of.sentBytes ?? 0), bytesOf(of.maxBytes))}; ${words.of(of.userId ?? '', of.source ?? '')}.`}</Visible>{' '}
            {of.subscriptionCount !== undefined && words.told(of.subscriptionCount)}
          </p>
        )}
      </div>
    </div>
  )
}

/** A kind of metadata, with the members that it has to have. */
function Kinds({ onChoose }: { onChoose: (name: string, value: unknown) => void }) {
  const { api } = useAccess()
  const load = useLoad('kinds', (signal) => api.metadata.kinds.query(undefined, { signal }))
  return (
    <Field label={words.kind}>
      {(control) => (
        <select
          {...control}
          value=""
          onChange={(event) => {
            const kind = load.value?.find(({ name }) => name === event.currentTarget.value)
            if (kind) onChoose(kind.name, skeleton(kind.schema))
            event.currentTarget.value = ''
          }}
        >
          <option value="">{words.choose}</option>
          {load.value?.map(({ name }) => (
            <option key={name} value={name}>
              {name}
            </option>
          ))}
        </select>
      )}
    </Field>
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

function draftOf({ data: _, metadata: __, ...texts }: Written, data: object, metadata: object | undefined): LogEvent {
  const given = Object.entries(texts).filter(([, value]) => value !== '')
  return { ...Object.fromEntries(given), data, ...(metadata && { metadata }) } as LogEvent
}

/** The object that a text is as JSON; undefined if it is empty, null if it is anything else. */
function objectIn(written: string): object | null | undefined {
  if (!written.trim()) return undefined
  try {
    const value: unknown = JSON.parse(written)
    return typeof value === 'object' && !Array.isArray(value) ? value : null
  } catch {
    return null
  }
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
