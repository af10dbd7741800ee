import { useState } from 'preact/hooks'
import { createApi, failureOf } from './api'
import { Field } from './components/field'
import { Icon } from './components/icon'
import { signIn } from './session'
import * as text from './text/common'
import * as signInWords from './text/sign-in'

const TOKEN = /^sk_[A-Za-z0-9]+_[A-Za-z0-9]+$/

/** The page to paste a key on. The address stays, so that a person goes on where the last key ended. */
export function SignIn({ ended }: { ended: boolean }) {
  const [token, setToken] = useState('')
  const [problem, setProblem] = useState('')
  const submit = (event: Event) => {
    event.preventDefault()
    const given = token.trim()
    if (!TOKEN.test(given)) setProblem(signInWords.malformed)
    else signIn({ token: given, temporary: false })
  }
  return (
    <main class="sign-in">
      <form onSubmit={submit} novalidate>
        <h1>
          <Icon name="events" />
          {text.product}
        </h1>
        <h2>{ended ? signInWords.endedTitle : signInWords.title}</h2>
        <p role={ended ? 'status' : undefined}>{ended ? signInWords.ended : signInWords.lead}</p>
        <Field label={signInWords.key} hint={signInWords.hint}>
          {(control) => (
            <input
              {...control}
              type="password"
              autocomplete="off"
              spellcheck={false}
              autofocus
              value={token}
              onInput={(event) => setToken(event.currentTarget.value)}
            />
          )}
        </Field>
        {problem && (
          <p class="notice bad" role="alert">
            {problem}
          </p>
        )}
        <button type="submit" class="button primary">
          {signInWords.submit}
        </button>
      </form>
    </main>
  )
}

/** Sign out. A key that was made for this sign-in ends with it. */
export async function revokeOwnKey(keyId: string): Promise<void> {
  try {
    await createApi().keys.revoke.mutate({ keyId })
  } catch (error) {
    failureOf(error) // the tab forgets the key in any case, and the key expires by itself
  }
}
