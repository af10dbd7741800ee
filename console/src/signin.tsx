import { useState } from 'preact/hooks'
import { createApi, failureOf } from './api'
import { TextField } from './components/field'
import { Form } from './components/form'
import { Icon } from './components/icon'
import { signIn } from './session'
import { words as text } from './text/common'
import { words } from './text/sign-in'

const TOKEN = /^sk_[A-Za-z0-9]+_[A-Za-z0-9]+$/

/** The page to paste a key on. The address stays, so that a person goes on where the last key ended. */
export function SignIn({ ended }: { ended: boolean }) {
  const [token, setToken] = useState('')
  const [problem, setProblem] = useState('')
  const submit = () => {
    const given = token.trim()
    if (!TOKEN.test(given)) setProblem(words.malformed)
    else signIn({ token: given, temporary: false })
  }
  return (
    <main class="sign-in">
      <Form onSubmit={submit} novalidate>
        <h1>
          <Icon name="events" />
          {text.product}
        </h1>
        <h2>{ended ? words.endedTitle : words.title}</h2>
        <p role={ended ? 'status' : undefined}>{ended ? words.ended : words.lead}</p>
        <TextField label={words.key} hint={words.hint} type="password" autocomplete="off" autofocus value={token} onText={setToken} />
        {problem && (
          <p class="notice bad" role="alert">
            {problem}
          </p>
        )}
        <button type="submit" class="button primary">
          {words.submit}
        </button>
      </Form>
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
