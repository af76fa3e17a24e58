package org.lvtmobile.app

import org.lvtmobile.core.Artifact
import org.lvtmobile.core.Manifest
import org.lvtmobile.core.Runtime
import org.lvtmobile.core.UserError
import java.io.File
import java.io.IOException

private const val SIDECAR = ".json"

/** The files that come with the app. On a phone they lie packed in it, so runtimes need copies. */
interface Packaged {
    /** Names of all of them. */
    fun names(): List<String>

    /** @throws IOException it cannot be read. */
    fun text(name: String): String

    /** @throws IOException it cannot be read or written. */
    fun copy(name: String, to: File)
}

/**
 * An artifact to choose.
 *
 * @property name of the model file.
 * @property problem why its manifest cannot be read; null if it can.
 */
class ShelfItem internal constructor(
    val name: String,
    val packaged: Boolean,
    val manifest: Manifest?,
    val problem: String?,
    private val locate: () -> File,
) {
    /** One line for the chooser. */
    val title: String
        get() = manifest?.let { "$name (${it.task.name.lowercase()}, ${it.precision})" } ?: "$name (unreadable)"

    /**
     * The model file with its manifest beside it; one that comes with the app is copied the first time.
     *
     * @throws UserError the manifest cannot be read, or there is no room for the copy.
     */
    fun file(): File {
        if (problem != null) throw UserError(problem)
        try {
            return locate()
        } catch (error: IOException) {
            throw UserError("cannot unpack $name: ${error.message}; is there room on the device?", error)
        }
    }
}

/**
 * All artifacts: those in the app's folders first, then those that come with the app.
 *
 * @param copies where files that come with the app are unpacked to.
 */
class Shelf(private val folders: List<File>, private val packaged: Packaged, private val copies: File) {
    /** What is there now, by name within each place. Of two with one name the first counts. */
    fun items(): List<ShelfItem> {
        val own = folders.flatMap { folder ->
            folder.listFiles().orEmpty().filter { Artifact.manifestFile(it).isFile }.sortedBy { it.name }
                .map { file -> item(file.name, false, { Artifact.manifestFile(file).readText() }, { file }) }
        }
        val names = packaged.names().toSet()
        val built = names.filter { it + SIDECAR in names }.sorted()
            .map { name -> item(name, true, { packaged.text(name + SIDECAR) }, { unpacked(name) }) }
        return (own + built).distinctBy { it.name }
    }

    private fun item(name: String, packaged: Boolean, text: () -> String, locate: () -> File): ShelfItem = try {
        ShelfItem(name, packaged, Manifest.parse(text(), name + SIDECAR), null, locate)
    } catch (error: UserError) {
        ShelfItem(name, packaged, null, error.message, locate)
    } catch (error: IOException) {
        ShelfItem(name, packaged, null, "cannot read the manifest of $name: ${error.message}", locate)
    }

    /** The manifest goes last: where it is the same as the packaged one, the model is complete. */
    private fun unpacked(name: String): File {
        val model = File(copies, name)
        val sidecar = Artifact.manifestFile(model)
        val current = model.isFile && sidecar.isFile && sidecar.readText() == packaged.text(name + SIDECAR)
        if (!current) {
            copies.mkdirs()
            sidecar.delete()
            packaged.copy(name, model)
            packaged.copy(name + SIDECAR, sidecar)
        }
        return model
    }
}

/**
 * What the user wants to run; each part is only a wish, for files come and go.
 *
 * @property model name of an artifact.
 * @property runtime name of a runtime.
 * @property threads at least 1.
 */
data class Choice(val model: String? = null, val runtime: String? = null, val threads: Int = DEFAULT_THREADS) {
    /** The wished artifact, else the first readable one, else any; null if there is none. */
    fun item(items: List<ShelfItem>): ShelfItem? =
        items.find { it.name == model } ?: items.find { it.problem == null } ?: items.firstOrNull()

    /** The wished runtime if it takes the artifact, else the first that does; null if none does. */
    fun runtime(item: ShelfItem, runtimes: List<Runtime>): Runtime? {
        val fitting = runtimes.filter { it.target == item.manifest?.target }
        return fitting.find { it.name == runtime } ?: fitting.firstOrNull()
    }

    companion object {
        /** Most phones have at least this many fast cores. */
        const val DEFAULT_THREADS: Int = 4
    }
}
