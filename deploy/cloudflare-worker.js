// Posts every mail that Cloudflare Email Routing hands over to the bridge, signed by Standard Webhooks.
//
// Variables: BRIDGE_URL    the channel's URL, as `bridge channels` prints it
//            BRIDGE_SECRET the channel's `secret`, `whsec_…` (a secret variable)
//            FALLBACK      optional: a verified address that gets the mail where the bridge did not take it

const TRIES = 3;
const TIMEOUT = 10000; // milliseconds for one try

export default {
  async email(message, env) {
    // The stream can be read once only.
    const raw = new Uint8Array(await new Response(message.raw).arrayBuffer());
    if (await delivered(raw, message.from, message.to, env)) return;
    if (env.FALLBACK) {
      await message.forward(env.FALLBACK);
    } else {
      message.setReject("The help desk cannot take mail now, please try again later");
    }
  },
};

async function delivered(raw, from, to, env) {
  const id = await idOf(raw, to);
  for (let attempt = 0; attempt < TRIES; attempt++) {
    if (attempt) await new Promise((resolve) => setTimeout(resolve, 1000 * attempt));
    try {
      const response = await fetch(env.BRIDGE_URL, {
        method: "POST",
        headers: {
          "Content-Type": "message/rfc822",
          "X-Envelope-From": from,
          "X-Envelope-To": to,
          ...(await signature(id, raw, env.BRIDGE_SECRET)),
        },
        body: raw,
        redirect: "manual",
        signal: AbortSignal.timeout(TIMEOUT),
      });
      if (response.status === 200) return true;
      console.error(`the bridge answered ${response.status}`);
    } catch (error) {
      console.error(`the bridge cannot be reached: ${error}`);
    }
  }
  return false;
}

// The same mail to the same address has the same id, however often it is tried.
async function idOf(raw, to) {
  const digest = await crypto.subtle.digest("SHA-256", joined(raw, "\n" + to.toLowerCase()));
  return "mail_" + Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

async function signature(id, raw, secret) {
  const stamp = Math.floor(Date.now() / 1000).toString();
  const bytes = Uint8Array.from(atob(secret.replace(/^whsec_/, "")), (char) => char.charCodeAt(0));
  const key = await crypto.subtle.importKey("raw", bytes, { name: "HMAC", hash: "SHA-256" }, false, ["sign"]);
  const mac = new Uint8Array(await crypto.subtle.sign("HMAC", key, joined(`${id}.${stamp}.`, raw)));
  return {
    "webhook-id": id,
    "webhook-timestamp": stamp,
    "webhook-signature": "v1," + btoa(String.fromCharCode(...mac)),
  };
}

function joined(...parts) {
  const pieces = parts.map((part) => (typeof part === "string" ? new TextEncoder().encode(part) : part));
  const whole = new Uint8Array(pieces.reduce((length, piece) => length + piece.length, 0));
  let at = 0;
  for (const piece of pieces) {
    whole.set(piece, at);
    at += piece.length;
  }
  return whole;
}
