-- Seconds become milliseconds, and what waits in a queue is of no interest here.
function process(r)
  if r.status == "queued" then return drop("queued") end
  r.processing_time_ms = round(r.processing_time * 1000)
  r.status = r.status:upper()
end
