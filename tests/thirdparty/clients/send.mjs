// Send a text and a file with Node's fetch, as send.py: `send.mjs ADDRESS TOKEN ACCOUNT NAME`.
const [address, token, account, name] = process.argv.slice(2)
const url = `${address}/v1/accounts/${account}/messages`
const headers = { Authorization: `Bearer ${token}` }

async function send (what, more, body) {
  const answer = await fetch(url, { method: 'POST', headers: { ...headers, ...more }, body })
  const { state } = await answer.json()
  const sent = answer.ok && ['delivered', 'accepted', 'waiting', 'sending'].includes(state)
  console.log(`${sent ? 'sent' : 'failed'}: ${what}`)
}

await send(name, { 'Content-Type': 'application/json' }, JSON.stringify({ to: 'filehelper', text: name }))
const form = new FormData()
form.append('to', 'filehelper')
form.append('file', new Blob(['%PDF-1.4 a report']), `${name}.pdf`)
await send(`${name}.pdf`, {}, form)
