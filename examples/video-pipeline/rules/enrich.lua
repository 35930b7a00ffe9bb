-- Who uploaded it, what kind of video it is, and what it cost.
local price_per_second = {free = 0, basic = 0.0005, pro = 0.0004, enterprise = 0.0003}

function process(r)
  local tier = lookup("users", r.user_id, "tier") or "free"
  r.user_tier = tier
  r.user_region = lookup("users", r.user_id, "region") or null
  r.category = lookup("categories", r.codec, "category") or null
  r.cost_usd = round(r.processing_time * price_per_second[tier], 4)
  if tier == "enterprise" then return route("priority") end
end
