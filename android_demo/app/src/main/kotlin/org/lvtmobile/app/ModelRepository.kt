package org.lvtmobile.app

import org.lvtmobile.core.Artifact
import org.lvtmobile.core.Manifest
import org.lvtmobile.core.UserError
import java.io.File
import java.io.IOException

private const val MANIFEST_SUFFIX = ".json"

/** The files in the assets of the app. They are part of the APK, and runtimes need files, so they must be copied. */
interface BundledFiles {
    /** Paths of all files; names, with `/` after those of folders. */
    fun paths(): List<String>

    /** @throws IOException the file cannot be read. */
    fun readText(path: String): String

    /** @throws IOException the file cannot be read or written. */
    fun copy(path: String, to: File)
}

/**
 * An artifact that the user can choose.
 *
 * @property name name of the model file or folder.
 * @property bundled whether the artifact is in the assets of the app.
 * @property manifestError error message if the manifest cannot be read, else null.
 */
class ModelEntry internal constructor(
    val name: String,
    val bundled: Boolean,
    val manifest: Manifest?,
    val manifestError: String?,
    private val resolveFile: () -> File,
) {
    /** One line for the model dialog. */
    val title: String
        get() = manifest?.let { "$name (${it.task.name.lowercase()}, ${it.precision})" } ?: "$name (unreadable)"

    /**
     * Returns the model file or folder. Its manifest is beside it. A bundled artifact is unpacked on first use.
     *
     * @throws UserError the manifest cannot be read, or there is no space to unpack the files.
     */
    fun file(): File {
        if (manifestError != null) throw UserError(manifestError)
        try {
            return resolveFile()
        } catch (error: IOException) {
            throw UserError("cannot unpack $name: ${error.message}; is there room on the device?", error)
        }
    }
}

/**
 * Finds all artifacts: first those in the app's folders, then the bundled ones.
 *
 * @param folders folders to search. They need not exist.
 * @param unpackFolder folder for unpacked bundled files.
 */
class ModelRepository(
    private val folders: List<File>,
    private val bundledFiles: BundledFiles,
    private val unpackFolder: File,
) {
    /** Lists the artifacts, sorted by name within each location. If names are equal, the first artifact wins. */
    fun entries(): List<ModelEntry> {
        val userEntries = folders.flatMap { folder ->
            folder.listFiles().orEmpty().filter { Artifact.manifestFile(it).isFile }.sortedBy { it.name }
                .map { file -> entry(file.name, false, { Artifact.manifestFile(file).readText() }, { file }) }
        }
        val paths = bundledFiles.paths()
        val names = paths.map { it.substringBefore('/') }.distinct()
        val bundledEntries = names.filter { it + MANIFEST_SUFFIX in paths }.sorted().map { name ->
            val files = paths.filter { it == name || it.startsWith("$name/") }
            entry(name, true, { bundledFiles.readText(name + MANIFEST_SUFFIX) }, { unpack(name, files) })
        }
        return (userEntries + bundledEntries).distinctBy { it.name }
    }

    private fun entry(
        name: String,
        bundled: Boolean,
        readManifest: () -> String,
        resolveFile: () -> File,
    ): ModelEntry = try {
        ModelEntry(name, bundled, Manifest.parse(readManifest(), name + MANIFEST_SUFFIX), null, resolveFile)
    } catch (error: UserError) {
        ModelEntry(name, bundled, null, error.message, resolveFile)
    } catch (error: IOException) {
        ModelEntry(name, bundled, null, "cannot read the manifest of $name: ${error.message}", resolveFile)
    }

    /**
     * Unpacks the files of an artifact: one file, or those of a folder.
     *
     * Writes the manifest last: if it equals the bundled manifest, the model is complete.
     */
    private fun unpack(name: String, files: List<String>): File {
        val model = File(unpackFolder, name)
        val manifest = Artifact.manifestFile(model)
        val upToDate = model.exists() && manifest.isFile &&
            manifest.readText() == bundledFiles.readText(name + MANIFEST_SUFFIX)
        if (!upToDate) {
            manifest.delete()
            model.deleteRecursively() // a folder may contain files of an older artifact
            for (path in files) {
                val file = File(unpackFolder, path)
                file.parentFile?.mkdirs()
                bundledFiles.copy(path, file)
            }
            bundledFiles.copy(name + MANIFEST_SUFFIX, manifest)
        }
        return model
    }
}
