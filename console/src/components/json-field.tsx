import { useState } from 'preact/hooks'
import { words as text } from '../text/common'
import { TextField, type Described } from './field'

/** Stands in a value where what a person has written is no JSON. */
class NotJson {}

/** Whether all of a value is JSON. */
export function isWhole(value: unknown): boolean {
  if (value instanceof NotJson) return false
  return typeof value !== 'object' || value === null || Object.values(value).every(isWhole)
}

interface JsonFieldProps extends Described {
  value: unknown
  rows: number
  onChange: (value: unknown) => void
}

/** A value as JSON. What is written stays as it is until the value is another one. */
export function JsonField({ value, onChange, hint, ...others }: JsonFieldProps) {
  const [draft, setDraft] = useState<{ written: string; value: unknown }>()
  const isOwn = draft?.value === value
  const write = (written: string) => {
    const next = parsed(written)
    setDraft({ written, value: next })
    onChange(next)
  }
  const isWrong = value instanceof NotJson
  const written = isOwn ? draft?.written : JSON.stringify(value, null, 2)
  return <TextField {...others} hint={isWrong ? text.notJson : hint} isWrong={isWrong} value={written ?? ''} onText={write} />
}

function parsed(written: string): unknown {
  try {
    return written.trim() ? JSON.parse(written) : undefined
  } catch {
    return new NotJson()
  }
}
