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
  const issues = failure?.issues.filter(({ path }) => paths.some((own) => path === own || path.startsWith(`${own}.`))) ?? []
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
      {issues.length > 0 && (
        <ul class="issues" id={`${id}-issues`} role="alert">
          {issues.map(({ path, message }) => (
            <li key={path}>
              <Visible>{message}</Visible>
            </li>
          ))}
        </ul>
      )}
    </div>
  )
}
