import * as filterSaid from '../../text/filter'
import { words as filterWords } from '../../text/filter'

const LONGEST = 120

/** A condition of the filter language as a person reads it: `data.total ≥ 10`. */
export function described(field: string, condition: unknown): string {
  if (field === 'AND' || field === 'OR' || field === 'NOT' || field === 'parent' || field === 'children') {
    return `${field} ${brief(condition)}`
  }
  if (condition === null) return `${field} ${filterWords.missing}`
  if (typeof condition !== 'object') return `${field} ${filterSaid.operators['eq']} ${brief(condition)}`
  const parts = Object.entries(condition).map(([operator, value]) => {
    if (operator === 'isNull') return value ? filterWords.missing : filterWords.present
    return `${filterSaid.operators[operator] ?? operator} ${brief(value)}`
  })
  return `${field} ${parts.join(', ')}`
}

function brief(value: unknown): string {
  const shown = typeof value === 'string' ? value : JSON.stringify(value)
  return shown.length > LONGEST ? `${shown.slice(0, LONGEST)}…` : shown
}
