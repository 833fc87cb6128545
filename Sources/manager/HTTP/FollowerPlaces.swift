import Synchronization

/// A bounded number of places for those who follow something.
final class FollowerPlaces: Sendable {
    private let most: Int
    private let taken = Atomic<Int>(0)

    init(most: Int) { self.most = most }

    /// A place: given back when nobody holds it any more, however its answer ended, also where it never began.
    final class Place: Sendable {
        private let places: FollowerPlaces

        fileprivate init(_ places: FollowerPlaces) { self.places = places }

        deinit { places.taken.subtract(1, ordering: .relaxed) }
    }

    /// Takes a place; nil where all are taken.
    func enter() -> Place? {
        guard taken.add(1, ordering: .relaxed).newValue <= most else {
            taken.subtract(1, ordering: .relaxed)
            return nil
        }
        return Place(self)
    }
}
