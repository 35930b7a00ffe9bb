local discount = {free = 0, basic = 0.05, pro = 0.1, enterprise = 0.2}

function process(r)
  local status = r.status
  if status == "queued" then return drop("queued") end
  r.processing_time_ms = r.processing_time * 1000
  r.processing_time = nil
  r.status = status:upper()
  r.discount = discount[r.tier]
  r.pipeline = "video-events"
end
