/// Runs `body` for each item, `width` of them at a time.
///
/// For checks that wait for something to end by itself most of their time: one after the other they take minutes. What
/// measures time, or needs the processor for itself, does not belong here.
package func sideBySide<Item: Sendable>(
    _ items: [Item], width: Int = 12, _ body: @escaping @Sendable (Item) async -> Void
) async {
    await withTaskGroup(of: Void.self) { group in
        for (number, item) in items.enumerated() {
            if number >= width { await group.next() }
            group.addTask { await body(item) }
        }
    }
}
