import type { FormHTMLAttributes } from 'preact'

interface FormProps extends Omit<FormHTMLAttributes<HTMLFormElement>, 'onSubmit'> {
  onSubmit: () => void
}

/** A form that a script sends: the browser stays on the page. */
export function Form({ onSubmit, ...others }: FormProps) {
  const submit = (event: Event) => {
    event.preventDefault()
    onSubmit()
  }
  return <form {...others} onSubmit={submit} />
}
