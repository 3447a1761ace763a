/**
 * Sends each response to a Google Form to the Spacebring bridge (source `googleforms`).
 *
 * In the form: ⋮ → Apps Script, paste this. Project settings → Script properties: BRIDGE_URL, the URL that
 * `bridge channels` prints, and BRIDGE_SECRET, the channel's secret (`whsec_…`). Then run `install` once, and
 * allow what it asks for.
 */
const TRIES = 4;
// No later try can change these.
const REFUSED = [400, 401, 413, 415, 422];

/** Lets Google call `onSubmit` for every response; run it by hand, once. */
function install() {
  ScriptApp.getProjectTriggers()
    .filter(trigger => trigger.getHandlerFunction() === 'onSubmit')
    .forEach(trigger => ScriptApp.deleteTrigger(trigger));
  ScriptApp.newTrigger('onSubmit').forForm(FormApp.getActiveForm()).onFormSubmit().create();
}

function onSubmit(event) {
  const response = event.response;
  const form = event.source;
  send(JSON.stringify({
    type: 'form.submitted',
    timestamp: response.getTimestamp().toISOString(),
    data: {
      submission_id: response.getId(),
      form_id: form.getId(),
      form_title: form.getTitle(),
      respondent_email: response.getRespondentEmail() || null,
      fields: response.getItemResponses().map(field),
    },
  }));
}

function field(answer) {
  const item = answer.getItem();
  const type = String(item.getType());
  const told = { key: String(item.getId()), label: item.getTitle(), type: type, value: answer.getResponse() };
  if (type === 'GRID') told.rows = item.asGridItem().getRows();
  if (type === 'CHECKBOX_GRID') told.rows = item.asCheckboxGridItem().getRows();
  return told;
}

function send(body) {
  const settings = PropertiesService.getScriptProperties();
  const key = Utilities.base64Decode(settings.getProperty('BRIDGE_SECRET').replace(/^whsec_/, ''));
  const id = 'gf_' + Utilities.getUuid();
  let last = '';
  for (let attempt = 0; attempt < TRIES; attempt++) {
    if (attempt > 0) Utilities.sleep(2000 * Math.pow(3, attempt - 1));
    const time = String(Math.floor(Date.now() / 1000));
    const signed = Utilities.newBlob(id + '.' + time + '.' + body).getBytes();
    const signature = Utilities.base64Encode(Utilities.computeHmacSha256Signature(signed, key));
    try {
      const answer = UrlFetchApp.fetch(settings.getProperty('BRIDGE_URL'), {
        method: 'post',
        contentType: 'application/json',
        payload: body,
        muteHttpExceptions: true,
        headers: { 'webhook-id': id, 'webhook-timestamp': time, 'webhook-signature': 'v1,' + signature },
      });
      last = 'HTTP ' + answer.getResponseCode();
      if (answer.getResponseCode() < 300) return;
      if (REFUSED.includes(answer.getResponseCode())) break;
    } catch (error) {
      last = String(error);
    }
  }
  // Stands under Executions, and Google writes to the script's owner.
  throw new Error('The bridge did not take the response: ' + last);
}
