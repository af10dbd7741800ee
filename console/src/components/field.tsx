import type { ComponentChildren, JSX } from 'preact'
import { useId } from 'preact/hooks'
import type { Failure } from '../api'
import { Visible } from './visible'

interface FieldProps {
  label: string
  hint?: ComponentChildren
  /** The paths of the input that this field is for: their issues are shown below it. */
  paths?: string[]
  failure?: Failure | undefined
  children: (control: { id: string; 'aria-describedby': string | undefined; 'aria-invalid': boolean | undefined }) => JSX.Element
}

/** A label, a control, a hint, and what the server says about it. */
export function Field({ label, hint, paths = [], failure, children }: FieldProps) {
  const id = useId()
  const issues = issuesAt(paths, failure)
  const described = [hint && `${id}-hint`, issues.length > 0 && `${id}-issues`].filter(Boolean).join(' ')
  return (
    <div class="field">
      <label for={id}>{label}</label>
      {children({ id, 'aria-describedby': described || undefined, 'aria-invalid': issues.length > 0 || undefined })}
      {hint && (
        <p class="hint" id={`${id}-hint`}>
          {hint}
        </p>
      )}
      <Issues id={`${id}-issues`} issues={issues} />
    </div>
  )
}

interface ChoicesProps {
  legend: string
  hint?: string
  paths?: string[]
  failure?: Failure | undefined
  /** What can be chosen, and what that means. */
  choices: { value: string; name?: string; means?: string }[]
  chosen: string[]
  onChange: (chosen: string[]) => void
}

/** Several of a list. */
export function Choices({ legend, hint, paths = [], failure, choices, chosen, onChange }: ChoicesProps) {
  const id = useId()
  const issues = issuesAt(paths, failure)
  const toggle = (value: string) => onChange(chosen.includes(value) ? chosen.filter((each) => each !== value) : [...chosen, value])
  return (
    <fieldset class="field choices" aria-describedby={issues.length > 0 ? id : undefined}>
      <legend>{legend}</legend>
      {hint && <p class="hint">{hint}</p>}
      <div class="choice-list">
        {choices.map(({ value, name, means }) => (
          <label key={value} class="choice">
            <input type="checkbox" checked={chosen.includes(value)} onChange={() => toggle(value)} />
            <span>
              {name ?? <code>{value}</code>} {means && <span class="hint">{means}</span>}
            </span>
          </label>
        ))}
      </div>
      <Issues id={id} issues={issues} />
    </fieldset>
  )
}

/** What the server says about the fields at some paths of its input. */
function issuesAt(paths: string[], failure: Failure | undefined): Failure['issues'] {
  return failure?.issues.filter(({ path }) => paths.some((own) => path === own || path.startsWith(`${own}.`))) ?? []
}

function Issues({ id, issues }: { id: string; issues: Failure['issues'] }) {
  if (issues.length === 0) return null
  return (
    <div class="issues" id={id} role="alert">
      {issues.map(({ path, message }) => (
        <p key={path}>
          <Visible>{message}</Visible>
        </p>
      ))}
    </div>
  )
}
