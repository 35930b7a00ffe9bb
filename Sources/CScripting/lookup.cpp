#include "internal/lookup.h"

tw_lookup *tw_lookup_create(void) { return new tw_lookup; }

void tw_lookup_add_column(tw_lookup *lookup, const char *name, size_t length) {
    lookup->columns.emplace_back(name, length);
}

void tw_lookup_begin_row(tw_lookup *lookup, const char *key, size_t length) {
    std::string_view view(key, length);
    auto entry = lookup->rows.find(view);
    if (entry != lookup->rows.end()) {
        lookup->row = entry->second;
        for (size_t i = 0; i < lookup->columns.size(); i++)
            lookup->cells[lookup->row * lookup->columns.size() + i] = {};
        return;
    }
    lookup->row = uint32_t(lookup->rows.size());
    lookup->rows.emplace(std::string(view), lookup->row);
    lookup->cells.resize((size_t(lookup->row) + 1) * lookup->columns.size());
}

void tw_lookup_set(tw_lookup *lookup, uint32_t column, const char *value, size_t length, int kind) {
    auto &cell = lookup->cells[lookup->row * lookup->columns.size() + column];
    cell = {uint32_t(lookup->text.size()), uint32_t(length), kind};
    lookup->text.append(value, length);
}

void tw_lookup_retain(tw_lookup *lookup) {
    lookup->references.fetch_add(1, std::memory_order_relaxed);
}

void tw_lookup_release(tw_lookup *lookup) {
    if (lookup->references.fetch_sub(1, std::memory_order_acq_rel) == 1) delete lookup;
}

size_t tw_lookup_count(const tw_lookup *lookup) { return lookup->rows.size(); }
