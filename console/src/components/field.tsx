import type { ComponentChildren, FunctionComponent, JSX } from 'preact'
import { useEffect, useId, useState } from 'preact/hooks'
import type { Failure } from '../api'
import { Visible } from './visible'

export interface Described {
  label: string
  hint?: ComponentChildren
  /** The paths of the input that this field is for: their issues are shown below it. */
  paths?: string[] | undefined
  failure?: Failure | undefined
}

interface FieldProps extends Described {
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

interface TextFieldProps extends Described {
  value: string
  onText: (text: string) => void
  /** With a number of lines it takes several. */
  rows?: number
  /** What is written cannot be used, whatever the server says. */
  isWrong?: boolean
  class?: string
  type?: 'number' | 'password' | 'search' | 'url'
  min?: number
  maxLength?: number
  required?: boolean
  autofocus?: boolean
  autocomplete?: 'off'
  spellcheck?: boolean
  placeholder?: string
  list?: string | undefined
  'data-filter'?: string | boolean
  onBlur?: () => void
  onKeyDown?: (event: KeyboardEvent & { currentTarget: HTMLElement }) => void
}

/** A field for a text. */
export function TextField({ label, hint, paths, failure, onText, rows, isWrong, ...others }: TextFieldProps) {
  return (
    <Field {...{ label, hint, paths, failure }}>
      {(control) => {
        const Control = (rows ? 'textarea' : 'input') as unknown as FunctionComponent<Record<string, unknown>>
        const onInput = (event: { currentTarget: { value: string } }) => onText(event.currentTarget.value)
        return <Control spellcheck={false} {...{ rows }} {...others} {...control} aria-invalid={isWrong || control['aria-invalid']} onInput={onInput} />
      }}
    </Field>
  )
}

interface DraftFieldProps extends Omit<TextFieldProps, 'onText'> {
  onSet: (text: string) => void
  onTyping?: ((text: string) => void) | undefined
}

/** A field whose text takes effect with Enter, or when it is left. What is typed outlives whatever the page shows meanwhile. */
export function DraftField({ value, onSet, onTyping, ...others }: DraftFieldProps) {
  const [draft, setDraft] = useState(value)
  useEffect(() => setDraft(value), [value])
  const set = () => draft !== value && onSet(draft)
  return (
    <TextField
      {...others}
      value={draft}
      onText={(text) => {
        setDraft(text)
        onTyping?.(text)
      }}
      onBlur={set}
      onKeyDown={({ key, currentTarget }) => {
        if (key === 'Enter') set()
        if (key === 'Escape') currentTarget.blur()
      }}
    />
  )
}

interface ChoiceProps extends Described {
  value: string | number
  /** What can be chosen, and its name. */
  options: readonly (readonly [value: string | number, name: string])[]
  onChoose: (value: string) => void
  'data-filter'?: boolean
}

/** One of a list. */
export function Choice({ label, hint, paths, failure, options, onChoose, ...others }: ChoiceProps) {
  return (
    <Field {...{ label, hint, paths, failure }}>
      {(control) => (
        <select {...control} {...others} onChange={(event) => onChoose(event.currentTarget.value)}>
          {options.map(([value, name]) => (
            <option key={value} value={value}>
              {name}
            </option>
          ))}
        </select>
      )}
    </Field>
  )
}

interface ChoicesProps {
  legend: string
  hint?: string | undefined
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

/** What the server says about one place. */
export function Issues({ id, issues }: { id?: string; issues: Failure['issues'] }) {
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
