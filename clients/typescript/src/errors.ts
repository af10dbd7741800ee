import { failureData } from './failures.js'

/**
 * What is wrong with each field of a form, by the field's path in the input: `{ 'data.title': 'is required' }`.
 *
 * Empty if the error is not about fields: then show `error.message`.
 */
export function toFieldErrors(error: unknown): Record<string, string> {
  const fields: Record<string, string> = {}
  for (const { path, message } of failureData(error)?.issues ?? []) fields[path] ??= message
  return fields
}
