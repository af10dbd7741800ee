import type { ComponentChildren } from 'preact'
import type { Failure } from '../api'
import type { Load } from '../load'
import { words as signInWords } from '../text/sign-in'
import { words as statesWords } from '../text/states'
import { Icon } from './icon'
import { Visible } from './visible'

/** Shows what was loaded, and until then, or instead, what there is to know. */
export function Loaded<T>({ load, children }: { load: Load<T>; children: (value: T) => ComponentChildren }) {
  return (
    <>
      <LoadNotice load={load} />
      {load.value !== undefined && children(load.value)}
    </>
  )
}

/** One line: loading, slow, offline, busy, refused. Nothing if all is well. */
export function LoadNotice({ load }: { load: Load<unknown> }) {
  if (load.failure) return <FailureNotice failure={load.failure} retry={load.reload} />
  return load.loading ? <Waiting slow={load.slow} /> : null
}

/** Something is on its way. */
export function Waiting({ slow = false, children = slow ? statesWords.slow : statesWords.loading }: { slow?: boolean; children?: ComponentChildren }) {
  return (
    <p class="notice quiet" role="status">
      <span class="spinner" aria-hidden="true" />
      {children}
    </p>
  )
}

const TITLES: Record<Failure['kind'], string> = {
  offline: statesWords.offline,
  busy: statesWords.busy,
  ended: signInWords.endedTitle,
  forbidden: statesWords.forbidden,
  missing: statesWords.missing,
  refused: statesWords.failed,
}

interface FailureProps {
  failure: Failure | undefined
  retry?: () => void
  /** The paths whose issues are shown at their fields: they are not repeated here. */
  fields?: string[]
  /** Every issue has a field. */
  hasFields?: boolean
}

/** A refusal, if there is one. */
export function FailureNotice({ failure, retry, fields = [], hasFields = false }: FailureProps) {
  if (!failure) return null
  const others = failure.issues.filter(({ path }) => !hasFields && !fields.includes(path))
  const isPassing = failure.retryMs !== undefined
  return (
    <div class={`notice ${isPassing ? 'warn' : 'bad'}`} role="alert">
      <Icon name="warning" />
      <div>
        <strong>{TITLES[failure.kind]}</strong>
        {failure.kind !== 'offline' && (
          <p>
            <Visible>{failure.message}</Visible>
          </p>
        )}
        {others.length > 0 && (
          <ul>
            {others.map(({ path, message }) => (
              <li key={path}>
                {path && (
                  <code>
                    <Visible>{path}</Visible>
                  </code>
                )}{' '}
                <Visible>{message}</Visible>
              </li>
            ))}
          </ul>
        )}
      </div>
      {retry && (
        <button type="button" class="button" onClick={retry}>
          {statesWords.retry}
        </button>
      )}
    </div>
  )
}

/** What to do where there is nothing to show. */
export function Empty({ title, children }: { title: string; children?: ComponentChildren }) {
  return (
    <div class="empty">
      <h2>{title}</h2>
      {children}
    </div>
  )
}
